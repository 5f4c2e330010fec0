/* cdr: any body is a record of valid text, or refused with a reason. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cdr.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	cdr_release(&c);
	return 0;
}
