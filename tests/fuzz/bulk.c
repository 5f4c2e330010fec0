/*
 * bulk: any file is cut into records that are all of it, each of which is
 * parsed or refused; the fields of CSV come back when they are written anew.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bulk.h"
#include "csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_csv(const struct bulk_row *row)
{
	const char *again[BULK_COLUMNS * 2];
	struct buf line = BUF_INIT;
	struct verr e = VERR_INIT;
	int n;

	for (size_t i = 0; i < row->n; i++)
		csv_add(&line, i == 0, row->members[i].value);
	n = row->n ? csv_split(line.data, again, BULK_COLUMNS * 2, &e) : 0;
	if ((size_t)n != row->n)
		abort();
	for (int i = 0; i < n; i++)
		if (strcmp(again[i], row->members[i].value) != 0)
			abort();
	buf_release(&line);
}

static void
check_record(struct bulk *b, struct bulk_record *r)
{
	struct verr e = VERR_INIT;
	struct bulk_row row;

	if (bulk_parse(b, &row, r, &e) == 0 && b->file.csv)
		check_csv(&row);
	else if (e.kind != VERR_NONE && e.kind != VERR_INPUT)
		abort();
	bulk_row_release(&row);
}

static void
check_file(struct bulk *b, const char *path, size_t size)
{
	struct bulk_record r;
	struct buf text = BUF_INIT;
	struct verr e = VERR_INIT;
	int64_t end = 0;
	int rc;

	if (bulk_file_open(&b->file, path, false, false, &e) == -1)
		abort();
	while ((rc = bulk_file_next(&b->file, &r, &e)) == 1) {
		if (r.offset < end)
			abort();
		end = r.offset + (int64_t)r.size;
		buf_clear(&text);
		if (bulk_file_fetch(&b->file, r.offset, r.size, &text, &e) ==
			    -1 ||
		    text.len != r.size ||
		    (!r.problem && !memmem(text.data, text.len, r.text, r.len)))
			abort();
		check_record(b, &r);
	}
	if (rc == -1 || (size_t)end > size)
		abort();
	buf_release(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bulk_options o = { .only = entity_find("user") };
	struct bulk *b = calloc(1, sizeof(*b));
	int fd = memfd_create("bulk", 0);
	char path[64];

	if (!b || fd == -1 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	b->o = &o;
	b->header = BUF_INIT;
	check_file(b, path, size);
	bulk_file_release(&b->file);
	buf_release(&b->header);
	free(b);
	close(fd);
	return 0;
}
