#include "cdrdecode.h"

#include <ctype.h>
#include <string.h>

#include "b64.h"
#include "form.h"

/* A moving view of the body. */
struct text {
	const char *s;
	size_t len;
};

static bool
starts_with(const struct text *t, const char *prefix)
{
	size_t n = strlen(prefix);

	return t->len >= n && strncasecmp(t->s, prefix, n) == 0;
}

static bool
take(struct text *t, const char *prefix)
{
	if (!starts_with(t, prefix))
		return false;
	t->s += strlen(prefix);
	t->len -= strlen(prefix);
	return true;
}

static void
trim(struct text *t)
{
	while (t->len > 0 && isspace((unsigned char)t->s[0])) {
		t->s++;
		t->len--;
	}
	while (t->len > 0 && isspace((unsigned char)t->s[t->len - 1]))
		t->len--;
}

/* `{` and what follows it make "e" and one of these. */
static bool
is_base64_of_object(const struct text *t)
{
	return t->len >= 4 && t->s[0] == 'e' &&
	       strchr("wxyz0123456789+/", t->s[1]) && t->s[1];
}

static bool
is_xml(const struct text *t)
{
	/* the last two are base64 of "<?x" and "<cd" */
	return starts_with(t, "<") || starts_with(t, "%3c") ||
	       (t->len >= 4 &&
		(memcmp(t->s, "PD94", 4) == 0 || memcmp(t->s, "PGNk", 4) == 0));
}

/* `{` before a percent sign was left as it is by the encoder. */
static bool
is_percent_encoded(const struct text *t)
{
	struct text rest = *t;

	if (starts_with(t, "%7b"))
		return true;
	if (!take(&rest, "{"))
		return false;
	trim(&rest);
	return starts_with(&rest, "%22");
}

static int
decode_base64(struct buf *json, const struct text *t, struct verr *e)
{
	struct buf plain = BUF_INIT;
	struct text b64 = *t;
	int rc;

	/* a sender that escapes `+ / =` as a form should */
	if (memchr(t->s, '%', t->len)) {
		form_decode(&plain, t->s, t->len, false);
		b64 = (struct text){ plain.data, plain.len };
	}
	if (buf_failed(&plain))
		rc = verr_set(e, VERR_RETRY, "no memory for a CDR");
	else if ((rc = b64_decode(json, b64.s, b64.len, e)) == -1)
		verr_wrap(e, "the CDR's base64 is broken");
	buf_release(&plain);
	return rc;
}

int
cdr_decode(struct buf *json, bool *form, const void *body, size_t len,
	   struct verr *e)
{
	struct text t = { body, len };
	const char *end;

	*form = false;
	take(&t, "\xef\xbb\xbf");
	trim(&t);
	if (t.len == 0)
		return verr_set(e, VERR_INPUT, "the body is empty");
	take(&t, "cdr=");
	if (is_xml(&t))
		return verr_set(e, VERR_INPUT,
				"the body is XML, of mod_xml_cdr\n"
				"hint: load mod_json_cdr in FreeSWITCH");
	if (is_percent_encoded(&t)) {
		*form = true;
		end = memchr(t.s, '&', t.len);
		form_decode(json, t.s, end ? (size_t)(end - t.s) : t.len, true);
	} else if (starts_with(&t, "{")) {
		buf_add(json, t.s, t.len);
	} else if (is_base64_of_object(&t)) {
		if (decode_base64(json, &t, e) == -1)
			return -1;
	} else {
		return verr_set(e, VERR_INPUT,
				"the body is neither JSON nor a form's 'cdr' "
				"nor base64 of JSON");
	}
	if (buf_failed(json))
		return verr_set(e, VERR_RETRY, "no memory for a CDR");
	return 0;
}
