/* utf8: repair makes any bytes valid, and changes nothing that is valid. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data;
	struct buf repaired = BUF_INIT, shown = BUF_INIT, json = BUF_INIT;
	bool good = utf8_valid(s, size) && !memchr(s, '\0', size);

	if (utf8_repair(&repaired, s, size) == good)
		abort();
	if (!utf8_valid(repaired.data, repaired.len))
		abort();
	if (good && (repaired.len != size || memcmp(repaired.data, s, size)))
		abort();
	utf8_escape(&shown, s, size);
	utf8_json(&json, s, size);
	if (!utf8_valid(shown.data, shown.len) ||
	    !utf8_valid(json.data, json.len))
		abort();
	for (size_t i = 0; i < shown.len; i++)
		if ((unsigned char)shown.data[i] < 0x20)
			abort();
	if (utf8_width(shown.data, shown.len) > 2 * shown.len)
		abort();
	buf_release(&repaired);
	buf_release(&shown);
	buf_release(&json);
	return 0;
}
