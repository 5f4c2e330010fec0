/* eslmessage: what an event socket says, and what is no message. */

#include "eslmessage.h"

#include <stdlib.h>

#include "unit.h"

static const struct {
	const char *data;
	int found;
	const char *type;
	const char *reply;
	size_t body_len;
} testv[] = {
	{ "", 0, "", "", 0 },
	{ "Content-Type: auth/request\n", 0, "", "", 0 },
	{ "Content-Type: auth/request\n\n", 1, "auth/request", "", 0 },
	{ "content-type:command/reply\nReply-Text: +OK accepted\n\n", 1,
	  "command/reply", "+OK accepted", 0 },
	{ "Content-Type: api/response\nContent-Length: 3\n\n+OK", 1,
	  "api/response", "", 3 },
	{ "Content-Type: api/response\nContent-Length: 3\n\n+O", 0,
	  "api/response", "", 3 },
	{ "Content-Type: api/response\nContent-Length: 0\n\nmore", 1,
	  "api/response", "", 0 },
	{ "Content-Length: -1\n\n", -1, "", "", 0 },
	{ "Content-Length: 3x\n\n", -1, "", "", 0 },
	{ "Content-Length: \n\n", -1, "", "", 0 },
	{ "Content-Length: 99999999999999999999999\n\n", -1, "", "", 0 },
	{ "no header at all\n\n", 1, "", "", 0 },
	{ "\n\n", 1, "", "", 0 },
};

static void
test_messages(void)
{
	for (size_t i = 0; i < COUNT(testv); i++) {
		struct esl_message m;
		int found =
			esl_message(&m, testv[i].data, strlen(testv[i].data));

		CHECK(found == testv[i].found);
		if (found != 1)
			continue;
		CHECK_STR(m.type, testv[i].type);
		CHECK_STR(m.reply, testv[i].reply);
		CHECK(m.body_len == testv[i].body_len);
	}
}

static void
test_bounds(void)
{
	size_t size = 20000;
	char *data = calloc(1, size + 1);
	struct esl_message m;

	CHECK(data != NULL);
	if (!data)
		return;
	memset(data, 'x', size);
	CHECK(esl_message(&m, data, 8192) == 0);
	CHECK(esl_message(&m, data, size) == -1);
	memcpy(data + size - 2, "\n\n", 2);
	CHECK(esl_message(&m, data, size) == -1);
	memcpy(data, "Content-Type: \0\n\n", 17);
	CHECK(esl_message(&m, data, 17) == -1);
	free(data);
}

static const struct {
	const char *word;
	const char *escaped; /* NULL: cannot be one */
} wordv[] = {
	{ "sales@a.example", "sales@a.example" },
	{ "Big sales", "Big\\ssales" },
	{ "it's", "it\\'s" },
	{ "a\\s", "a\\\\s" },
	{ " ", "\\s" },
	{ "\xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9" },
	{ "", NULL },
	{ "a\nauth b", NULL },
	{ "a\rb", NULL },
	{ "a\tb", NULL },
	{ "a\x7f", NULL },
};

static void
test_words(void)
{
	for (size_t i = 0; i < COUNT(wordv); i++) {
		struct buf b = BUF_INIT;
		bool ok = esl_word(&b, wordv[i].word);

		CHECK(ok == (wordv[i].escaped != NULL));
		CHECK_STR(b.data, ok ? wordv[i].escaped : "");
		buf_release(&b);
	}
}

int
main(void)
{
	test_messages();
	test_bounds();
	test_words();
	return unit_end();
}
