#include "cdrsalvaged.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "b64.h"

bool
cdrsalvaged_is(const char *record, size_t len)
{
	size_t n = strlen(CDRSALVAGED_MARK);

	return len >= n && memcmp(record, CDRSALVAGED_MARK, n) == 0;
}

/* Text without a NUL; false: no memory. */
static bool
copy(const json_t *object, const char *name, char **to)
{
	const char *text = json_string_value(json_object_get(object, name));

	*to = text ? strdup(text) : NULL;
	return *to || !text;
}

/* PostgreSQL's or our own form of a moment; another one would take the records
 * beside it with it. */
static bool
is_moment(const char *text)
{
	size_t len = strlen(text);

	return len >= 19 && len < 32 &&
	       strspn(text, "0123456789-:.+ TZ") == len;
}

static int
read_body(struct cdrsalvaged *s, const json_t *object, struct verr *e)
{
	const json_t *text = json_object_get(object, "body");
	const json_t *coded = json_object_get(object, "body_base64");

	if (json_is_string(text))
		buf_add(&s->body, json_string_value(text),
			json_string_length(text));
	else if (!json_is_string(coded))
		return verr_set(e, VERR_INPUT,
				"it is a salvaged row without a body");
	else if (b64_decode(&s->body, json_string_value(coded),
			    json_string_length(coded), e) == -1)
		return verr_wrap(e, "the body of a salvaged row");
	return buf_failed(&s->body) ? verr_set(e, VERR_RETRY, "out of memory")
				    : 0;
}

int
cdrsalvaged_read(struct cdrsalvaged *s, const char *record, size_t len,
		 struct verr *e)
{
	json_error_t where;
	json_t *object = json_loadb(record, len, JSON_ALLOW_NUL, &where);
	int rc;

	*s = (struct cdrsalvaged){ .body = BUF_INIT };
	if (!object)
		return verr_set(e, VERR_INPUT, "it is no salvaged row: %s",
				where.text);
	rc = read_body(s, object, e);
	if (rc == 0 && !(copy(object, "received_at", &s->received_at) &&
			 copy(object, "query_uuid", &s->query_uuid) &&
			 copy(object, "peer", &s->peer) &&
			 copy(object, "content_type", &s->content_type) &&
			 copy(object, "reason", &s->reason)))
		rc = verr_set(e, VERR_RETRY, "out of memory");
	if (s->received_at && !is_moment(s->received_at)) {
		free(s->received_at);
		s->received_at = NULL;
	}
	json_decref(object);
	return rc;
}

void
cdrsalvaged_release(struct cdrsalvaged *s)
{
	buf_release(&s->body);
	free(s->received_at);
	free(s->query_uuid);
	free(s->peer);
	free(s->content_type);
	free(s->reason);
	*s = (struct cdrsalvaged){ .body = BUF_INIT };
}
