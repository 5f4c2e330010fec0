#include "cdrbody.h"

#include <stdio.h>
#include <string.h>

#include "cdrdecode.h"
#include "cdrrepair.h"
#include "utf8.h"

static int
no_memory(struct verr *e)
{
	return verr_set(e, VERR_RETRY, "no memory for a CDR");
}

static int
json_failed(const json_error_t *error, struct verr *e)
{
	if (json_error_code(error) == json_error_out_of_memory)
		return no_memory(e);
	return verr_set(e, VERR_INPUT, "the body is no JSON: %s at byte %d",
			error->text, error->position);
}

/* Valid UTF-8 without NUL. */
static int
make_utf8(struct cdr_body *b, struct verr *e)
{
	struct buf whole = BUF_INIT;

	if (utf8_valid(b->text.data, b->text.len) &&
	    !memchr(b->text.data, '\0', b->text.len))
		return 0;
	utf8_repair(&whole, b->text.data, b->text.len);
	buf_release(&b->text);
	b->text = whole;
	b->repaired = true;
	return buf_failed(&b->text) ? no_memory(e) : 0;
}

static int
parse(struct cdr_body *b, bool form, struct verr *e)
{
	struct buf again = BUF_INIT;
	struct verr first = VERR_INIT;
	json_error_t error;
	int rc = 0;

	b->parsed = true;
	/* A form's values may hold what looks like fields (cdrrepair.h). */
	b->root = json_loadb(
		b->text.data, b->text.len,
		JSON_ALLOW_NUL | (form ? JSON_REJECT_DUPLICATES : 0), &error);
	if (b->root)
		return 0;
	json_failed(&error, &first);
	if (first.kind == VERR_RETRY) {
		*e = first;
		return -1;
	}
	rc = cdr_repair(&again, b->text.data, b->text.len, form, e);
	if (rc == 0) {
		b->repaired = true;
		b->root = json_loadb(again.data, again.len,
				     JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL,
				     &error);
		rc = b->root ? 0 : json_failed(&error, e);
	}
	buf_release(&again);
	return rc;
}

/* --- the parser's tree ------------------------------------------------ */

/* What the last application of this name was given. */
static json_t *
by_application(json_t *root, const struct cdr_wanted *w)
{
	json_t *list = json_object_get(json_object_get(root, "app_log"),
				       "applications");
	const json_t *name;

	for (size_t i = json_array_size(list); i-- > 0;) {
		name = json_object_get(json_array_get(list, i), "app_name");
		if (json_string_length(name) == w->len &&
		    memcmp(json_string_value(name), w->name, w->len) == 0)
			return json_object_get(json_array_get(list, i),
					       "app_data");
	}
	return NULL;
}

static void
put_json(struct cdr_slot *slot, json_t *json)
{
	*slot = (struct cdr_slot){ .s = NULL };
	if (json_is_string(json)) {
		slot->s = json_string_value(json);
		slot->len = json_string_length(json);
		return;
	}
	if (json_is_integer(json))
		snprintf(slot->number, sizeof(slot->number), "%lld",
			 (long long)json_integer_value(json));
	else if (json_is_real(json) && json_real_value(json) < 1e18 &&
		 json_real_value(json) > -1e18)
		snprintf(slot->number, sizeof(slot->number), "%.2f",
			 json_real_value(json));
	else
		return;
	slot->s = slot->number;
	slot->len = strlen(slot->number);
}

static void
find_all(struct cdr_body *b, const struct cdr_sources *t)
{
	json_t *flow = json_object_get(b->root, "callflow");
	size_t n = json_array_size(flow);
	json_t *first = json_array_get(flow, 0),
	       *last = n ? json_array_get(flow, n - 1) : NULL;
	json_t *const at[CDR_PLACES] = {
		[CDR_IN_VARIABLES] = json_object_get(b->root, "variables"),
		[CDR_IN_FIRST] = json_object_get(first, "caller_profile"),
		[CDR_IN_LAST] = json_object_get(last, "caller_profile"),
		[CDR_IN_TIMES] = json_object_get(first, "times"),
		[CDR_IN_CHANNEL_DATA] =
			json_object_get(b->root, "channel_data"),
		[CDR_IN_CALL_STATS] = json_object_get(
			json_object_get(json_object_get(b->root, "callStats"),
					"audio"),
			"inbound"),
		[CDR_IN_TOP] = b->root,
	};

	for (size_t i = 0; i < t->count; i++) {
		const struct cdr_wanted *w = &t->wanted[i];

		put_json(&b->slots[i],
			 w->place == CDR_IN_APPLICATIONS
				 ? by_application(b->root, w)
				 : json_object_getn(at[w->place], w->name,
						    w->len));
	}
}

/* --- the body --------------------------------------------------------- */

int
cdr_body_read(struct cdr_body *b, const struct cdr_sources *t, const void *body,
	      size_t len, struct verr *e)
{
	bool form;

	b->repaired = b->parsed = false;
	b->text = BUF_INIT;
	b->root = NULL;
	if (cdr_decode(&b->text, &form, body, len, e) == -1 ||
	    make_utf8(b, e) == -1)
		return -1;
	if (!form && cdr_scan(t, b->slots, b->text.data, b->text.len))
		return 0;
	if (parse(b, form, e) == -1)
		return -1;
	if (!json_is_object(b->root))
		return verr_set(e, VERR_INPUT, "the body is no JSON object");
	if (!json_is_object(json_object_get(b->root, "variables")))
		return verr_set(e, VERR_INPUT, "the CDR has no 'variables'");
	find_all(b, t);
	return 0;
}

void
cdr_body_release(struct cdr_body *b)
{
	json_decref(b->root);
	buf_release(&b->text);
}
