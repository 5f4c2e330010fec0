/*
 * cdr: any body is a record of valid text, or refused with a reason; the scan
 * and the parser read the same.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cdr.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A name with an escape is nothing for the scan. */
static void
compare_with_parser(const struct cdr *c, const uint8_t *data, size_t size)
{
	struct buf body = BUF_INIT;
	struct cdr parsed = { 0 };
	struct verr e = VERR_INIT;

	buf_puts(&body, "{\"\\u0021\":1,");
	buf_add(&body, data + 1, size - 1);
	if (cdr_parse(&parsed, body.data, body.len, &e) == 0 &&
	    !parsed.repaired)
		for (int i = 0; i < CDR_FIELD_COUNT; i++)
			if (!c->value[i] != !parsed.value[i] ||
			    (c->value[i] &&
			     strcmp(c->value[i], parsed.value[i]) != 0))
				abort();
	cdr_release(&parsed);
	buf_release(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verr e = VERR_INIT, again = VERR_INIT;
	struct cdr c = { 0 };
	int rc = cdr_parse(&c, data, size, &e);

	if (rc == -1 && (e.kind != VERR_INPUT || !*e.msg))
		abort();
	if (cdr_check(data, size, &again) != rc)
		abort();
	if (rc == 0 && (!c.value[CDR_LEG_UUID] || !c.value[CDR_START_TIME] ||
			!c.value[CDR_DIRECTION] || c.start_us <= 0))
		abort();
	for (int i = 0; i < CDR_FIELD_COUNT; i++)
		if (c.value[i] && (!*c.value[i] ||
				   !utf8_valid(c.value[i], strlen(c.value[i]))))
			abort();
	if (rc == 0 && !c.repaired && data[0] == '{')
		compare_with_parser(&c, data, size);
	cdr_release(&c);
	return 0;
}
