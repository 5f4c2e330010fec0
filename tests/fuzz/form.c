/* form: what is decoded fits its bounds, and encoding is undone by decoding. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data;
	struct buf coded = BUF_INIT, back = BUF_INIT;
	struct verr e = VERR_INIT;
	struct form f;

	if (form_parse(&f, s, size, 256, &e) == 0) {
		size_t total = 0;

		for (size_t i = 0; i < f.count; i++) {
			const struct form_pair *p = &f.pairs[i];

			total += p->name_len + p->value_len;
			if (p->name[p->name_len] || p->value[p->value_len])
				abort();
			if (!form_first(&f, p->name) &&
			    strlen(p->name) == p->name_len)
				abort();
		}
		if (total > size)
			abort();
	} else if (e.kind != VERR_INPUT) {
		abort();
	}
	form_release(&f);

	form_encode(&coded, s, size);
	form_decode(&back, coded.data, coded.len, true);
	if (back.len != size || (size && memcmp(back.data, s, size) != 0))
		abort();
	buf_release(&coded);
	buf_release(&back);
	return 0;
}
