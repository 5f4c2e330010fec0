/* change: what is read is printed in both formats and read back the same. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct change *c, enum change_format format)
{
	struct verr e = VERR_INIT;
	struct buf b = BUF_INIT;
	struct change back;

	change_print(&b, format, c);
	if (b.len == 0 || memchr(b.data, '\n', b.len) != b.data + b.len - 1)
		abort();
	if (change_from_line(&back, b.data, b.len - 1, &e) != 1)
		abort();
	if (back.op != c->op || strcmp(back.table, c->table) != 0 ||
	    strcmp(back.domain, c->domain) != 0 ||
	    strcmp(back.parent, c->parent) != 0 ||
	    strcmp(back.name, c->name) != 0)
		abort();
	buf_release(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data;
	struct verr e = VERR_INIT;
	struct change c;
	int rc = change_from_line(&c, s, size, &e);

	if (rc == 1) {
		check(&c, CHANGE_JSONL);
		check(&c, CHANGE_TSV);
	} else if (rc == -1 && e.kind != VERR_INPUT) {
		abort();
	}
	e = VERR_INIT;
	if (change_from_payload(&c, s, size, &e) == 0) {
		/* A table that is named as an entity is read as the entity. */
		if (!c.entity && entity_find(c.table))
			return 0;
		check(&c, CHANGE_JSONL);
		check(&c, CHANGE_TSV);
	} else if (e.kind != VERR_INPUT) {
		abort();
	}
	return 0;
}
