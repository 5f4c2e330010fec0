#include "jsonrpc.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define ANSWER_MAX ((size_t)1 << 20)

/* 0 with `*code` (0 when done) and `message`, or -1. */
static int
read_answer(const char *text, size_t len, long status, long *code,
	    char *message, size_t size, struct verr *e)
{
	json_t *answer = json_loadb(text, len, 0, NULL);
	const json_t *error = json_object_get(answer, "error");
	const char *words =
		json_string_value(json_object_get(error, "message"));
	int rc = 0;

	*code = (long)json_integer_value(json_object_get(error, "code"));
	snprintf(message, size, "%s", words ? words : "");
	if (error && *code == 0)
		*code = -1;
	if (!error && (!json_object_get(answer, "result") || status != 200))
		rc = verr_set(e, VERR_CONFIG,
			      "the answer with status %ld is not JSON-RPC\n"
			      "hint: kamailio.cfg must give this path to "
			      "jsonrpc_dispatch()",
			      status);
	json_decref(answer);
	return rc;
}

static void
done(long status, const struct buf *body, const struct verr *why, void *arg)
{
	const struct jsonrpc *call = arg;
	struct verr e = VERR_INIT;
	char message[256] = "";
	long code = 0;

	if (!why && read_answer(body->data, body->len, status, &code, message,
				sizeof(message), &e) == -1)
		why = &e;
	call->fn(code, message, why, call->arg);
}

static char *
request(const char *const *words, size_t n)
{
	json_t *params = json_array(), *object;
	char *text = NULL;

	for (size_t i = 1; i < n && params; i++) {
		if (json_array_append_new(params, json_string(words[i])) ==
		    -1) {
			json_decref(params);
			params = NULL;
		}
	}
	object = json_pack("{s:s, s:s, s:o, s:i}", "jsonrpc", "2.0", "method",
			   words[0], "params", params, "id", 1);
	if (object)
		text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}

int
jsonrpc_call(struct jsonrpc *call, struct httpc *h, const char *url,
	     const char *const *words, size_t n, int64_t timeout_ms,
	     struct verr *e)
{
	char *text = request(words, n);
	int rc;

	if (!text)
		return verr_set(e, VERR_RETRY, "out of memory");
	rc = httpc_post(h, url, "application/json", text, timeout_ms,
			ANSWER_MAX, done, call, e);
	free(text);
	return rc;
}
