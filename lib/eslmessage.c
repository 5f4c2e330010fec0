#include "eslmessage.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX 8192
#define BODY_MAX ((size_t)8 << 20)

bool
esl_word(struct buf *command, const char *word)
{
	if (*word == '\0')
		return false;
	for (const char *p = word; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	for (; *word; word++) {
		if (strchr(" '\\", *word))
			buf_putc(command, '\\');
		buf_putc(command, *word == ' ' ? 's' : *word);
	}
	return true;
}

static void
take_header(struct esl_message *m, const char *line, size_t len)
{
	static const char type[] = "Content-Type:";
	static const char reply[] = "Reply-Text:";
	char *to = NULL;
	size_t size = 0, skip = 0;

	if (strncasecmp(line, type, sizeof(type) - 1) == 0) {
		to = m->type;
		size = sizeof(m->type);
		skip = sizeof(type) - 1;
	} else if (strncasecmp(line, reply, sizeof(reply) - 1) == 0) {
		to = m->reply;
		size = sizeof(m->reply);
		skip = sizeof(reply) - 1;
	}
	if (!to || len < skip)
		return;
	while (skip < len && line[skip] == ' ')
		skip++;
	snprintf(to, size, "%.*s", (int)(len - skip), line + skip);
}

static int
take_length(struct esl_message *m, const char *line)
{
	static const char name[] = "Content-Length:";
	const char *digits = line + sizeof(name) - 1;
	size_t n = 0;

	if (strncasecmp(line, name, sizeof(name) - 1) != 0)
		return 0;
	digits += strspn(digits, " ");
	if (*digits < '0' || *digits > '9')
		return -1;
	for (; *digits >= '0' && *digits <= '9' && n <= BODY_MAX; digits++)
		n = n * 10 + (size_t)(*digits - '0');
	m->body_len = n;
	return n <= BODY_MAX && strchr("\r\n", *digits) ? 0 : -1;
}

int
esl_message(struct esl_message *m, const char *data, size_t len)
{
	const char *line = data, *end;
	const char *stop = memmem(data, len, "\n\n", 2);

	*m = (struct esl_message){ .type = "" };
	if (!stop)
		return len > HEAD_MAX || memchr(data, '\0', len) ? -1 : 0;
	m->head_len = (size_t)(stop - data) + 2;
	if (m->head_len > HEAD_MAX || memchr(line, '\0', m->head_len))
		return -1;
	for (; line <= stop; line = end + 1) {
		end = strchr(line, '\n');
		take_header(m, line, (size_t)(end - line));
		if (take_length(m, line) == -1)
			return -1;
	}
	return len - m->head_len >= m->body_len;
}
