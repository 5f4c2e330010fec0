/* change: payloads become lines, and lines are read back. */

#include "unit.h"

#include "change.h"

static const struct {
	const char *payload;
	const char *jsonl;
	const char *tsv;
} testv[] = {
	{ "{\"table\":\"users\",\"domain\":\"a.example\",\"key\":\"1001\","
	  "\"op\":\"update\"}",
	  "{\"op\":\"update\",\"entity\":\"user\",\"key\":\"1001@a.example\","
	  "\"domain\":\"a.example\"}\n",
	  "update\tuser\t1001@a.example\ta.example\n" },
	{ "{\"op\":\"insert\",\"key\":\"a.example\",\"domain\":\"a.example\","
	  "\"table\":\"domains\",\"newer\":[1,{}]}",
	  "{\"op\":\"insert\",\"entity\":\"domain\",\"key\":\"a.example\","
	  "\"domain\":\"a.example\"}\n",
	  "insert\tdomain\ta.example\ta.example\n" },
	{ "{\"op\":\"delete\",\"key\":\"net/1/1001\",\"domain\":\"a.example\","
	  "\"table\":\"queue_members\"}",
	  "{\"op\":\"delete\",\"entity\":\"member\","
	  "\"key\":\"net/1/1001@a.example\",\"domain\":\"a.example\"}\n",
	  "delete\tmember\tnet/1/1001@a.example\ta.example\n" },
	{ "{\"op\":\"delete\",\"key\":\"#7\",\"domain\":null,"
	  "\"table\":\"group_members\"}",
	  "{\"op\":\"delete\",\"entity\":\"groupmember\",\"key\":\"#7\","
	  "\"domain\":null}\n",
	  "delete\tgroupmember\t#7\t\n" },
	{ "{\"op\":\"many\",\"key\":\"*\",\"domain\":\"a.example\","
	  "\"table\":\"queue_members\"}",
	  "{\"op\":\"many\",\"entity\":\"member\",\"key\":\"*\","
	  "\"domain\":\"a.example\"}\n",
	  "many\tmember\t*\ta.example\n" },
	/* An extension may have that name. */
	{ "{\"op\":\"update\",\"key\":\"*\",\"domain\":\"a.example\","
	  "\"table\":\"extensions\"}",
	  "{\"op\":\"update\",\"entity\":\"extension\","
	  "\"key\":\"*@a.example\",\"domain\":\"a.example\"}\n",
	  "update\textension\t*@a.example\ta.example\n" },
	{ "{\"op\":\"update\",\"key\":\"carrier\",\"domain\":\"a.example\","
	  "\"table\":\"trunks\"}",
	  "{\"op\":\"update\",\"entity\":\"trunk\",\"key\":\"carrier\","
	  "\"domain\":\"a.example\"}\n",
	  "update\ttrunk\tcarrier\ta.example\n" },
	{ "{\"op\":\"update\",\"key\":\"x\",\"domain\":null,"
	  "\"table\":\"of_a_newer_release\"}",
	  "{\"op\":\"update\",\"entity\":\"of_a_newer_release\","
	  "\"key\":\"x\",\"domain\":null}\n",
	  "update\tof_a_newer_release\tx\t\n" },
	{ "{\"op\":\"update\",\"key\":\"a\\\"b\\\\t\\t\\n\\r\\u001b\\u2028"
	  "\xf0\x9f\x93\x9e@a.example/\",\"domain\":\"a.example\","
	  "\"table\":\"queues\"}",
	  "{\"op\":\"update\",\"entity\":\"queue\","
	  "\"key\":\"a\\\"b\\\\t\\t\\n\\r\\u001b\xe2\x80\xa8"
	  "\xf0\x9f\x93\x9e@a.example/@a.example\","
	  "\"domain\":\"a.example\"}\n",
	  "update\tqueue\ta\"b\\\\t\\t\\n\\r\x1b\xe2\x80\xa8"
	  "\xf0\x9f\x93\x9e@a.example/@a.example\ta.example\n" },
};

static bool
same(const struct change *a, const struct change *b)
{
	return a->op == b->op && a->entity == b->entity &&
	       strcmp(a->table, b->table) == 0 &&
	       strcmp(a->domain, b->domain) == 0 &&
	       strcmp(a->parent, b->parent) == 0 &&
	       strcmp(a->name, b->name) == 0;
}

static void
check_line(const struct change *c, enum change_format format, const char *want)
{
	struct verr e = VERR_INIT;
	struct buf b = BUF_INIT;
	struct change back;

	change_print(&b, format, c);
	CHECK_STR(b.data, want);
	CHECK(change_from_line(&back, b.data, b.len - 1, &e) == 1);
	CHECK_STR(e.msg, "");
	CHECK(same(c, &back));
	buf_release(&b);
}

static void
test_round_trips(void)
{
	for (size_t i = 0; i < COUNT(testv); i++) {
		struct verr e = VERR_INIT;
		struct change c;

		CHECK(change_from_payload(&c, testv[i].payload,
					  strlen(testv[i].payload), &e) == 0);
		CHECK_STR(e.msg, "");
		check_line(&c, CHANGE_JSONL, testv[i].jsonl);
		check_line(&c, CHANGE_TSV, testv[i].tsv);
	}
}

static void
test_parts(void)
{
	static const char line[] =
		"delete\tmember\tnet/1/1001@a.example\ta.example\tnewer";
	struct verr e = VERR_INIT;
	struct change c;

	CHECK(change_from_line(&c, line, strlen(line), &e) == 1);
	CHECK(c.op == CHANGE_DELETE && c.entity == entity_find("member"));
	CHECK_STR(c.table, "queue_members");
	CHECK_STR(c.domain, "a.example");
	CHECK_STR(c.parent, "net/1");
	CHECK_STR(c.name, "1001");
}

static void
test_resync(void)
{
	static const char *const lines[] = {
		"resync",
		"resync\r",
		"resync\t\t\t",
		"{\"op\":\"resync\"}",
		"{ \"op\": \"resync\", \"why\": \"later\", \"key\": null }",
	};
	const struct change resync = { .op = CHANGE_RESYNC };

	check_line(&resync, CHANGE_JSONL, "{\"op\":\"resync\"}\n");
	check_line(&resync, CHANGE_TSV, "resync\t\t\t\n");
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct verr e = VERR_INIT;
		struct change c;

		CHECK(change_from_line(&c, lines[i], strlen(lines[i]), &e) ==
		      1);
		CHECK(same(&c, &resync));
	}
}

static void
test_lines_that_say_nothing(void)
{
	struct verr e = VERR_INIT;
	struct buf b = BUF_INIT;
	struct change c;

	CHECK(change_from_line(&c, "", 0, &e) == 0);
	CHECK(change_from_line(&c, "\r", 1, &e) == 0);
	change_head(&b, CHANGE_JSONL);
	CHECK(b.len == 0);
	change_head(&b, CHANGE_TSV);
	CHECK_STR(b.data, "op\tentity\tkey\tdomain\n");
	CHECK(change_from_line(&c, b.data, b.len - 1, &e) == 0);
	buf_release(&b);
}

#define S32  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define S64  S32 S32
#define S640 S64 S64 S64 S64 S64 S64 S64 S64 S64 S64

static const struct {
	const char *line;
	const char *message;
} wrong[] = {
	{ "hello", "unknown operation 'hello'" },
	{ "update", "entity or key is missing" },
	{ "update\t\t1001\t", "no entity is named" },
	{ "update\tuser\t\ta.example", "the key is not in the domain" },
	{ "update\tuser\t@a.example\ta.example", "the key is empty" },
	{ "update\tuser\t1001@b.example\ta.example",
	  "the key is not in the domain" },
	{ "update\tuser\t1001\ta.example", "the key is not in the domain" },
	{ "update\tqueue\t" S640 "\t", "key is longer than 639 bytes" },
	{ "update\tmember\t" S640 "/1\t", "key is longer than 639 bytes" },
	{ "update\t" S64 "\tx\t", "entity is longer than 63 bytes" },
	{ "update\tuser\tx\t" S640, "domain is longer than 255 bytes" },
	{ "update\tuser\t\xe9\t", "the line is not valid UTF-8" },
	{ "{", "not JSON: string or '}' expected near end of file" },
	{ "{} {}", "not JSON: end of file expected near '{'" },
	{ "{}", "no operation is named" },
	{ "{\"op\":1}", "member 'op' is not a string" },
	{ "{\"op\":null}", "no operation is named" },
	{ "{\"op\":\"update\",\"entity\":\"user\"}",
	  "entity or key is missing" },
	{ "{\"op\":\"a\",\"op\":\"b\"}",
	  "not JSON: duplicate object key near '\"op\"'" },
};

static void
test_wrong_lines(void)
{
	static char big[CHANGE_LINE_MAX + 1];
	struct verr e = VERR_INIT;
	struct change c;

	for (size_t i = 0; i < COUNT(wrong); i++) {
		e = VERR_INIT;
		CHECK(change_from_line(&c, wrong[i].line, strlen(wrong[i].line),
				       &e) == -1);
		CHECK(e.kind == VERR_INPUT);
		CHECK_STR(e.msg, wrong[i].message);
	}
	CHECK(change_from_line(&c, "resync\0", 7, &e) == -1);
	memset(big, 'x', sizeof(big));
	CHECK(change_from_line(&c, big, sizeof(big), &e) == -1);
	CHECK_STR(e.msg, "the line is longer than 16384 bytes");
}

static void
test_wrong_payloads(void)
{
	static const char *const payloads[] = {
		"",
		"hello",
		"[]",
		"{\"table\":\"users\",\"op\":\"update\"}",
		"{\"table\":\"users\",\"op\":\"update\",\"key\":\"\"}",
		"{\"table\":\"users\",\"op\":\"update\",\"key\":1}",
		"{\"table\":\"users\",\"op\":\"update\",\"key\":\"a\\u0000\"}",
		"{\"table\":\"users\",\"op\":\"resync\",\"key\":\"1\"}",
		"{\"table\":\"users\",\"op\":\"truncate\",\"key\":\"1\"}",
	};

	for (size_t i = 0; i < COUNT(payloads); i++) {
		struct verr e = VERR_INIT;
		struct change c;

		CHECK(change_from_payload(&c, payloads[i], strlen(payloads[i]),
					  &e) == -1);
		CHECK(e.kind == VERR_INPUT);
	}
}

static void
read_and_print(bool may_fail)
{
	static const char line[] =
		"delete\tmember\ta/1001@a.example\ta.example";
	struct verr e = VERR_INIT;
	struct buf b = BUF_INIT;
	struct change c;

	if (change_from_line(&c, line, strlen(line), &e) == -1) {
		CHECK(may_fail && e.kind == VERR_RETRY);
		return;
	}
	change_print(&b, CHANGE_TSV, &c);
	CHECK(buf_failed(&b) ? may_fail : b.len == strlen(line) + 1);
	buf_release(&b);
}

int
main(void)
{
	test_round_trips();
	test_parts();
	test_resync();
	test_lines_that_say_nothing();
	test_wrong_lines();
	test_wrong_payloads();
	CHECK(unit_each_failure(read_and_print) >= 3);
	return unit_end();
}
