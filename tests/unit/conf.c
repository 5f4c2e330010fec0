/* conf: values, quoting, files, and what stays when a reload fails. */

#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "conf.h"
#include "conftable.h"
#include "log.h"

static char path[] = "/tmp/voip-unit-conf-XXXXXX";

static const struct {
	const char *name;
	const char *text;
	int64_t number;
	const char *error; /* NULL: accepted */
} valuev[] = {
	{ "database_timeout", "250ms", 250, NULL },
	{ "database_timeout", "5", 5000, NULL },
	{ "database_timeout", "2m", 120000, NULL },
	{ "database_timeout", "1h", 3600000, NULL },
	{ "idle_exit", "1d", 86400000, NULL },
	{ "idle_exit", "0", 0, NULL },
	{ "database_timeout", "61m", 0,
	  "'61m' is out of range for 'database_timeout'\n"
	  "hint: from 10ms to 1h" },
	{ "database_timeout", "9ms", 0,
	  "'9ms' is out of range for 'database_timeout'\n"
	  "hint: from 10ms to 1h" },
	{ "database_timeout", "", 0,
	  "'' is no value for 'database_timeout'\n"
	  "hint: expected a number with ms, s, m, h or d, such as 5s" },
	{ "database_timeout", "-5s", 0,
	  "'-5s' is no value for 'database_timeout'\n"
	  "hint: expected a number with ms, s, m, h or d, such as 5s" },
	{ "database_timeout", "5 s", 0,
	  "'5 s' is no value for 'database_timeout'\n"
	  "hint: expected a number with ms, s, m, h or d, such as 5s" },
	{ "cdr_keep", "99999999999999999999d", 0,
	  "'99999999999999999999d' is no value for 'cdr_keep'\n"
	  "hint: expected a number with ms, s, m, h or d, such as 5s" },
	{ "cdr_keep", "999999999999999999d", 0,
	  "'999999999999999999d' is no value for 'cdr_keep'\n"
	  "hint: expected a number with ms, s, m, h or d, such as 5s" },
	{ "cdr_spool_limit", "1024k", 1 << 20, NULL },
	{ "cdr_spool_limit", "10G", INT64_C(10) << 30, NULL },
	{ "cdr_spool_limit", "1048576", 1 << 20, NULL },
	{ "cdr_spool_limit", "1g", 0,
	  "'1g' is no value for 'cdr_spool_limit'\n"
	  "hint: expected a number of bytes, or with k, M, G or T, "
	  "such as 64k" },
	{ "cdr_spool_limit", "1k", 0,
	  "'1k' is out of range for 'cdr_spool_limit'\n"
	  "hint: from 1M to 1024T" },
	{ "cdr_workers", "4", 4, NULL },
	{ "cdr_workers", "4x", 0,
	  "'4x' is no value for 'cdr_workers'\n"
	  "hint: expected a whole number such as 100" },
	{ "cdr_workers", "99999999999999999999", 0,
	  "'99999999999999999999' is no value for 'cdr_workers'\n"
	  "hint: expected a whole number such as 100" },
	{ "cdr_workers", " 4", 0,
	  "' 4' is no value for 'cdr_workers'\n"
	  "hint: expected a whole number such as 100" },
	{ "cdr_workers", "-1", 0,
	  "'-1' is out of range for 'cdr_workers'\nhint: from 1 to 64" },
	{ "log_level", "debug", 3, NULL },
	{ "log_level", "deb", 0,
	  "'deb' is no value for 'log_level'\n"
	  "hint: expected one of: error warning info debug" },
	{ "log_level", "", 0,
	  "'' is no value for 'log_level'\n"
	  "hint: expected one of: error warning info debug" },
	{ "proxy", "", 0, NULL },
	{ "proxy", "a\nb", 0,
	  "the value of 'proxy' holds the control byte 0x0a" },
	{ "proxy", "\xe9", 0, "the value of 'proxy' is not valid UTF-8" },
};

static void
test_values(void)
{
	for (size_t i = 0; i < COUNT(valuev); i++) {
		const struct conf_row *row = conf_row_find(valuev[i].name);
		struct verr e = VERR_INIT;
		int64_t number;
		int rc;

		rc = conf_value_parse(row, valuev[i].text, &number, &e);
		if (valuev[i].error) {
			CHECK(rc == -1 && e.kind == VERR_CONFIG);
			CHECK_STR(e.msg, valuev[i].error);
		} else if (!CHECK(rc == 0 && number == valuev[i].number)) {
			printf("  in row %zu: %s\n", i, e.msg);
		}
	}
}

static void
test_booleans(void)
{
	static const struct conf_row row = { .name = "b", .type = CONF_BOOL };
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };
	struct verr e = VERR_INIT;
	int64_t number;

	for (size_t i = 0; i < 4; i++) {
		CHECK(conf_value_parse(&row, yes[i], &number, &e) == 0 &&
		      number == 1);
		CHECK(conf_value_parse(&row, no[i], &number, &e) == 0 &&
		      number == 0);
	}
	CHECK(conf_value_parse(&row, "maybe", &number, &e) == -1);
	CHECK_STR(e.msg, "'maybe' is no value for 'b'\n"
			 "hint: expected yes or no");
}

/* Every row: name, help and default fit; names are unique. */
static void
test_rows(void)
{
	for (const struct conf_row *row = conf_rows; row->name; row++) {
		struct verr e = VERR_INIT;
		int64_t number;

		if (!CHECK(conf_value_parse(row, row->value, &number, &e) == 0))
			printf("  %s\n", e.msg);
		CHECK(conf_row_find(row->name) == row);
		CHECK(row->help && *row->help);
		CHECK(row->type != CONF_CHOICE || row->words);
		CHECK(row->type != CONF_SECRET || !*row->value);
	}
}

static void
test_suggestions(void)
{
	CHECK_STR(conf_row_suggest("databse"), "database");
	CHECK_STR(conf_row_suggest("DATABASE"), "database");
	CHECK_STR(conf_row_suggest("dirxml_listne"), "dirxml_listen");
	CHECK(conf_row_suggest("zzz") == NULL);
	CHECK(conf_row_suggest("") == NULL);
}

static const char *const quotev[] = {
	"",      "plain",       "a=b,c",  "with space",  "don't", "\"double\"",
	"$HOME", "back\\slash", "`tick`", "it's \"$\\`", "#",     "a;b|c&d",
};

/* What is quoted is read back, and the shell reads the same. */
static void
test_quotes(void)
{
	for (size_t i = 0; i < COUNT(quotev); i++) {
		struct verr e = VERR_INIT;
		struct buf b = BUF_INIT;

		conf_value_quote(&b, quotev[i]);
		CHECK(conf_value_unquote(b.data, &e) == 0);
		CHECK_STR(b.data, quotev[i]);
		buf_release(&b);
	}
}

static const struct {
	const char *line;
	const char *proxy; /* NULL: refused */
	const char *error; /* after "PATH:2: " */
} linev[] = {
	{ "proxy=a", "a", NULL },
	{ "VOIP_PROXY=a", "a", NULL },
	{ "  proxy=a \t", "a", NULL },
	{ "proxy='a b'", "a b", NULL },
	{ "proxy=\"a \\\"b\\\"\"", "a \"b\"", NULL },
	{ "proxy=", "", NULL },
	{ "proxy=''", "", NULL },
	{ "proxy=a\nproxy=b", "b", NULL },
	{ "#proxy=a", "127.0.0.1:5060", NULL },
	{ "  # proxy=a", "127.0.0.1:5060", NULL },
	{ "proxi=a", NULL,
	  "unknown setting 'proxi'\nhint: did you mean 'proxy'?" },
	{ "PROXY=a", NULL,
	  "unknown setting 'PROXY'\nhint: did you mean 'proxy'?" },
	{ "service.*.start=a", NULL,
	  "unknown setting 'service.*.start'\n"
	  "hint: a name of yours stands for the '*'" },
	{ "service..start=a", NULL,
	  "unknown setting 'service..start'\n"
	  "hint: did you mean 'service.*.start'?" },
	{ "colour=a", NULL,
	  "unknown setting 'colour'\nhint: --show-config lists them" },
	{ "proxy", NULL, "expected name=value" },
	{ "=a", NULL, "expected name=value" },
	{ "proxy =a", NULL, "no space may stand before '='" },
	{ "proxy= a", NULL, "no space may stand after '='" },
	{ "proxy=a b", NULL,
	  "a value with spaces needs quotes\n"
	  "hint: put it in single quotes; a comment needs a line of its own" },
	{ "proxy=a # b", NULL,
	  "a value with spaces needs quotes\n"
	  "hint: put it in single quotes; a comment needs a line of its own" },
	{ "proxy=a;b", NULL, "a value with ';' needs quotes" },
	{ "proxy=$HOME", NULL, "a value with '$' needs quotes" },
	{ "proxy='a", NULL, "the closing ' is missing" },
	{ "proxy=\"a", NULL, "the closing \" is missing" },
	{ "proxy='a'b", NULL, "text after the closing '" },
	{ "proxy=\"a\" # b", NULL, "text after the closing \"" },
	{ "proxy=\"$HOME\"", NULL,
	  "'$' in double quotes, where a shell would expand it\n"
	  "hint: use single quotes" },
	{ "proxy=a\r", NULL,
	  "the line ends with a carriage return\nhint: a Unix file has none" },
	{ "cdr_workers=0", NULL,
	  "'0' is out of range for 'cdr_workers'\nhint: from 1 to 64" },
	{ "\x1b[2J=1", NULL,
	  "unknown setting '\\x1b[2J'\nhint: --show-config lists them" },
};

static void
write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	if (f)
		fputs(text, f);
	CHECK(f && fclose(f) == 0);
}

static void
test_lines(void)
{
	for (size_t i = 0; i < COUNT(linev); i++) {
		struct verr e = VERR_INIT;
		char text[256], want[512];
		int rc;

		snprintf(text, sizeof(text), "# first\n%s\n", linev[i].line);
		write_file(text);
		rc = conf_load(&e);
		if (linev[i].proxy) {
			if (!CHECK(rc == 0))
				printf("  %s\n", e.msg);
			CHECK_STR(conf_str("proxy"), linev[i].proxy);
		} else {
			snprintf(want, sizeof(want), "%s:2: %s", path,
				 linev[i].error);
			CHECK(rc == -1 && e.kind == VERR_CONFIG);
			CHECK_STR(e.msg, want);
		}
	}
}

static void
test_patterns(void)
{
	struct verr e = VERR_INIT;
	struct buf b = BUF_INIT;

	write_file("service.my-db.start='run my db'\n"
		   "VOIP_SERVICE_OTHER_STOP=halt\n");
	setenv("VOIP_SERVICE_THIRD_KILL", "shoot it", 1);
	CHECK(conf_load(&e) == 0);
	unsetenv("VOIP_SERVICE_THIRD_KILL");
	CHECK_STR(conf_str("service.my-db.start"), "run my db");
	CHECK_STR(conf_str("service.other.stop"), "halt");
	CHECK_STR(conf_str("service.third.kill"), "shoot it");
	CHECK_STR(conf_str("service.other.start"), "");
	conf_show(&b);
	CHECK(strstr(b.data, "service.my_db.start='run my db'\n") != NULL);
	CHECK(strstr(b.data, "# environment VOIP_SERVICE_THIRD_KILL\n"
			     "service.third.kill='shoot it'\n") != NULL);
	buf_release(&b);
}

/* Each failure leaves what was loaded before. */
static void
load_again(bool may_fail)
{
	struct verr e = VERR_INIT;
	struct buf b = BUF_INIT;

	if (conf_load(&e) == -1) {
		CHECK(may_fail && e.kind == VERR_RETRY);
		CHECK_STR(conf_str("proxy"), "before");
	} else {
		CHECK_STR(conf_str("proxy"), "after");
		conf_show(&b);
		CHECK(may_fail || !buf_failed(&b));
		buf_release(&b);
	}
}

static void
test_failures(void)
{
	size_t fail_at = 0, failed = 0;

	do {
		struct verr e = VERR_INIT;

		unit_fail_at = 0;
		write_file("proxy=before\n");
		CHECK(conf_load(&e) == 0);
		write_file("proxy=after\nuser_context='a b'\n"
			   "service.x.start=y\n");
		unit_has_failed = false;
		unit_fail_at = ++fail_at;
		load_again(true);
		failed += unit_has_failed;
	} while (unit_has_failed);
	unit_fail_at = 0;
	load_again(false);
	CHECK(failed > 10);
}

int
main(void)
{
	int fd = mkstemp(path);

	if (!CHECK(fd != -1))
		return 1;
	close(fd);
	conf_set_file(path);
	test_values();
	test_booleans();
	test_rows();
	test_suggestions();
	test_quotes();
	test_lines();
	test_patterns();
	test_failures();
	unlink(path);
	return unit_end();
}
