/*
 * cdr: any body is a record of valid text, or refused with a reason; the scan
 * and the parser read the same.
 */

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cdr.h"
#include "cdrraw.h"
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

/* What is kept is JSON still, and has no more to hide. */
static void
check_raw(const struct buf *raw)
{
	json_t *doc =
		json_loadb(raw->data, raw->len,
			   JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	struct buf again = BUF_INIT;

	cdr_raw(&again, raw->data, raw->len);
	if (!json_is_object(doc) || again.len != raw->len)
		abort();
	json_decref(doc);
	buf_release(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verr e = VERR_INIT, again = VERR_INIT;
	struct cdr c = { .want_raw = true };
	int rc = cdr_parse(&c, data, size, &e);

	if (rc == -1 && (e.kind != VERR_INPUT || !*e.msg))
		abort();
	if (cdr_check(data, size, &again) != rc)
		abort();
	if (rc == 0 && (!c.value[CDR_LEG_UUID] || !c.value[CDR_START_TIME] ||
			!c.value[CDR_DIRECTION] || c.start_us <= 0))
		abort();
	if (rc == 0)
		check_raw(&c.raw);
	for (int i = 0; i < CDR_FIELD_COUNT; i++)
		if (c.value[i] && (!*c.value[i] ||
				   !utf8_valid(c.value[i], strlen(c.value[i]))))
			abort();
	if (rc == 0 && !c.repaired && data[0] == '{')
		compare_with_parser(&c, data, size);
	cdr_release(&c);
	return 0;
}
