/* b64: any input is decoded or refused; what is encoded comes back. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "b64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf coded = BUF_INIT, plain = BUF_INIT, again = BUF_INIT;
	struct verr e = VERR_INIT;

	if (b64_decode(&plain, (const char *)data, size, &e) == -1 &&
	    (e.kind != VERR_INPUT || plain.len))
		abort();
	b64_encode(&coded, data, size);
	if (b64_decode(&again, coded.data, coded.len, &e) == -1)
		abort();
	if (again.len != size || (size && memcmp(again.data, data, size) != 0))
		abort();
	buf_release(&coded);
	buf_release(&plain);
	buf_release(&again);
	return 0;
}
