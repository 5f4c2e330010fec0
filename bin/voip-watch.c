/* voip-watch: print the changes of the directory as they commit. */

#include <limits.h>
#include <popt.h>
#include <string.h>
#include <unistd.h>

#include "confvalue.h"
#include "opt.h"
#include "valid.h"
#include "watch.h"

static char *domain;
static char *format;
static char *timeout;
static long count = LONG_MIN; /* not given */

/* clang-format off */
static const struct poptOption options[] = {
	{ "count", 'n', POPT_ARG_LONG, &count, 0,
	  "exit after COUNT changes", "COUNT" },
	{ "domain", 'd', POPT_ARG_STRING, &domain, 0,
	  "only changes of this tenant", "DOMAIN" },
	{ "format", 'f', POPT_ARG_STRING, &format, 0,
	  "print jsonl or tsv", "FORMAT" },
	{ "timeout", 't', POPT_ARG_STRING, &timeout, 0,
	  "exit after this time", "TIME" },
	POPT_TABLEEND
};
/* clang-format on */

static int
parse_format(enum change_format *to, const char *word, struct verr *e)
{
	if (!word || strcmp(word, "jsonl") == 0)
		*to = CHANGE_JSONL;
	else if (strcmp(word, "tsv") == 0)
		*to = CHANGE_TSV;
	else
		return verr_set(e, VERR_USAGE,
				"changes are not printed as '%s'\n"
				"hint: jsonl or tsv",
				word);
	return 0;
}

static int
parse_timeout(int64_t *ms, struct verr *e)
{
	static const struct conf_row row = {
		.name = "timeout",
		.type = CONF_DURATION,
		.min = 1,
		.max = INT32_MAX,
	};

	if (!timeout || conf_value_parse(&row, timeout, ms, e) == 0)
		return 0;
	e->kind = VERR_USAGE;
	return verr_wrap(e, "--timeout");
}

static int
run(int argc, const char **argv, struct verr *e)
{
	struct watch_options o = {
		.entities = argv,
		.domain = domain,
		.count = count == LONG_MIN ? 0 : count,
		.fd = STDOUT_FILENO,
	};

	for (int i = 0; i < argc; i++)
		if (!entity_find(argv[i]))
			return verr_set(e, VERR_USAGE,
					"there is no entity '%s'\n"
					"hint: voip-ext --help lists them",
					argv[i]);
	if (count < 1 && count != LONG_MIN)
		return verr_set(e, VERR_USAGE, "--count is 1 or more");
	if (domain && valid_domain(domain, e) == -1) {
		e->kind = VERR_USAGE;
		return -1;
	}
	if (parse_format(&o.format, format, e) == -1 ||
	    parse_timeout(&o.timeout_ms, e) == -1)
		return -1;
	return watch_run(&o, e);
}

int
main(int argc, const char **argv)
{
	static const struct opt_program program = {
		.args = "[ENTITY...]",
		.summary = "Print the changes of the directory as they commit.",
		.options = options,
		.run = run,
	};

	return opt_main(argc, argv, &program);
}
