/*
 * fs-preprocess <DOCUMENT: what FreeSWITCH's parser gets to see of an answer.
 * Status 1 when its pre-processor would have dropped, replaced or run anything
 * but the XML declaration.
 */

#include <stdio.h>

#include "../unit/fsmodel.h"

int
main(void)
{
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct fsmodel m;
	char part[4096];
	size_t n;

	while ((n = fread(part, 1, sizeof(part), stdin)) > 0)
		buf_add(&in, part, n);
	m = fsmodel_preprocess(&out, in.data, in.len);
	fwrite(out.data, 1, out.len, stdout);
	if (!fsmodel_is_safe(&m))
		fprintf(stderr, "dropped %u, obeyed %u, replaced %u\n",
			m.dropped, m.obeyed, m.replaced);
	buf_release(&in);
	buf_release(&out);
	return fsmodel_is_safe(&m) ? 0 : 1;
}
