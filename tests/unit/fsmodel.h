/*
 * fsmodel: what FreeSWITCH's pre-processor does to a document, line by line
 * (switch_xml.c, functions preprocess() and expand_vars()), without doing it.
 *
 * What a line would make it do is counted: a safe document has one dropped
 * line, the XML declaration, and nothing else.
 */
#ifndef FSMODEL_H
#define FSMODEL_H

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"

struct fsmodel {
	unsigned dropped;  /* lines that do not reach the parser */
	unsigned obeyed;   /* commands that would have been run */
	unsigned replaced; /* $${name} */
};

static inline const char *
fsmodel_stristr(const char *s, const char *word)
{
	for (; *s; s++)
		if (strncasecmp(s, word, strlen(word)) == 0)
			return s;
	return NULL;
}

/* $${name} disappears: no global variable is set here. */
static inline void
fsmodel_expand(struct buf *out, const char *line, struct fsmodel *m)
{
	const char *close;

	while (*line) {
		if (strncmp(line, "$${", 3) == 0 &&
		    (close = strchr(line, '}'))) {
			m->replaced++;
			line = close + 1;
			continue;
		}
		buf_putc(out, *line++);
	}
}

static inline void
fsmodel_line(struct buf *out, const char *line, struct fsmodel *m)
{
	struct buf b = BUF_INIT;
	const char *word;

	fsmodel_expand(&b, line, m);
	word = fsmodel_stristr(b.data, "X-pre-process");
	if (strstr(line, "<include>") || strstr(line, "</include>") ||
	    strstr(line, "<?")) {
		m->dropped++;
	} else if (word) {
		m->dropped++;
		if (word > b.data && word[-1] == '<')
			m->obeyed++;
	} else if (strstr(b.data, "<!--#")) {
		m->dropped++;
		m->obeyed++;
	} else {
		buf_add(out, b.data, b.len);
	}
	buf_release(&b);
}

/* What FreeSWITCH's parser gets to see of `document`. */
static inline struct fsmodel
fsmodel_preprocess(struct buf *out, const char *document, size_t len)
{
	struct fsmodel m = { 0 };
	const char *end = document + len;

	while (document < end) {
		const char *stop =
			memchr(document, '\n', (size_t)(end - document));
		size_t n = (size_t)((stop ? stop + 1 : end) - document);
		char *line = strndup(document, n);

		if (!line)
			abort();
		fsmodel_line(out, line, &m);
		free(line);
		document += n;
	}
	return m;
}

static inline bool
fsmodel_is_safe(const struct fsmodel *m)
{
	return m->dropped == 1 && !m->obeyed && !m->replaced;
}

#endif
