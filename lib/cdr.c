#include "cdr.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cdrdecode.h"
#include "cdrrepair.h"
#include "cdrscan.h"
#include "form.h"
#include "utf8.h"

#define MAX_TEXT 1024
#define MAX_KEY  256
/* Nothing rings before 2000 or after 2199. */
#define MIN_TIME INT64_C(946684800)
#define MAX_TIME INT64_C(7258118400)

#define CDR_FIELD_ROW(id, column, type, sources) \
	{ column, CDR_TYPE_##type, sources },
const struct cdr_field_row cdr_fields[CDR_FIELD_COUNT] = { CDR_FIELDS(
	CDR_FIELD_ROW) };
#undef CDR_FIELD_ROW

/* One record while it is read. */
struct reading {
	struct cdr *cdr;
	json_t *root;
	json_t *variables; /* the others are borrowed from root */
	json_t *first;     /* caller_profile of callflow's newest entry */
	json_t *last;      /* ... and of its original one */
	json_t *times;
	bool encoded; /* the values of variables are percent-encoded */
	size_t offset[CDR_FIELD_COUNT]; /* in cdr->text, plus one; 0: null */
	struct buf plain;               /* a value, decoded */
};

/* --- JSON ------------------------------------------------------------------
 */

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

/* Valid UTF-8 without NUL in `text`, which may change. */
static int
make_utf8(struct buf *text, bool *repaired, struct verr *e)
{
	struct buf whole = BUF_INIT;

	if (utf8_valid(text->data, text->len) &&
	    !memchr(text->data, '\0', text->len))
		return 0;
	utf8_repair(&whole, text->data, text->len);
	buf_release(text);
	*text = whole;
	*repaired = true;
	return buf_failed(text) ? no_memory(e) : 0;
}

/* NULL with `e` set; else the caller drops the reference. */
static json_t *
load(const void *body, size_t len, bool *repaired, struct verr *e)
{
	struct buf text = BUF_INIT, again = BUF_INIT;
	struct verr first = VERR_INIT;
	json_error_t error;
	json_t *root = NULL;
	bool form;

	if (cdr_decode(&text, &form, body, len, e) == -1 ||
	    make_utf8(&text, repaired, e) == -1)
		goto out;
	/* A form's values may hold what looks like fields (cdrrepair.h). */
	root = json_loadb(text.data, text.len,
			  JSON_ALLOW_NUL | (form ? JSON_REJECT_DUPLICATES : 0),
			  &error);
	if (root)
		goto out;
	json_failed(&error, &first);
	if (first.kind == VERR_RETRY) {
		*e = first;
		goto out;
	}
	if (cdr_repair(&again, text.data, text.len, form, e) == -1)
		goto out;
	*repaired = true;
	root = json_loadb(again.data, again.len,
			  JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
	if (!root)
		json_failed(&error, e);
out:
	buf_release(&text);
	buf_release(&again);
	return root;
}

/* --- sources ---------------------------------------------------------------
 */

static json_t *
by_path(json_t *at, const char *path, size_t len)
{
	const char *end = path + len, *slash;

	while (at && path < end) {
		path++; /* the slash before each name */
		slash = memchr(path, '/', (size_t)(end - path));
		if (!slash)
			slash = end;
		at = json_object_getn(at, path, (size_t)(slash - path));
		path = slash;
	}
	return at;
}

/* What the last application of this name was given. */
static json_t *
by_application(json_t *root, const char *name, size_t len)
{
	json_t *list = by_path(root, "/app_log/applications", 21);
	const json_t *app_name;

	for (size_t i = json_array_size(list); i-- > 0;) {
		app_name = json_object_get(json_array_get(list, i), "app_name");
		if (json_string_length(app_name) == len &&
		    memcmp(json_string_value(app_name), name, len) == 0)
			return json_object_get(json_array_get(list, i),
					       "app_data");
	}
	return NULL;
}

static bool
take_prefix(const char **s, size_t *len, const char *prefix)
{
	size_t n = strlen(prefix);

	if (*len <= n || memcmp(*s, prefix, n) != 0)
		return false;
	*s += n;
	*len -= n;
	return true;
}

/* One source's text in r->plain, decoded; false when it has none. */
static bool
read_source(struct reading *r, const char *s, size_t len)
{
	bool variable = false;
	json_t *json;

	if (*s == '/') {
		json = by_path(r->root, s, len);
	} else if (take_prefix(&s, &len, "first:")) {
		json = json_object_getn(r->first, s, len);
	} else if (take_prefix(&s, &len, "last:")) {
		json = json_object_getn(r->last, s, len);
	} else if (take_prefix(&s, &len, "times:")) {
		json = json_object_getn(r->times, s, len);
	} else if (take_prefix(&s, &len, "app:")) {
		json = by_application(r->root, s, len);
	} else {
		json = json_object_getn(r->variables, s, len);
		variable = true;
	}
	buf_clear(&r->plain);
	if (json_is_string(json) && variable && r->encoded)
		form_decode(&r->plain, json_string_value(json),
			    json_string_length(json), false);
	else if (json_is_string(json))
		buf_add(&r->plain, json_string_value(json),
			json_string_length(json));
	else if (json_is_integer(json))
		buf_printf(&r->plain, "%lld",
			   (long long)json_integer_value(json));
	else if (json_is_real(json))
		buf_printf(&r->plain, "%.2f", json_real_value(json));
	return r->plain.len > 0 && !buf_failed(&r->plain);
}

/* --- values ----------------------------------------------------------------
 */

/* -1 when it is not all digits, or more than `max`. */
static int64_t
read_number(const struct buf *b, int64_t max)
{
	int64_t n = 0;

	if (b->len == 0 || b->len > 18)
		return -1;
	for (size_t i = 0; i < b->len; i++) {
		if (b->data[i] < '0' || b->data[i] > '9')
			return -1;
		n = n * 10 + (b->data[i] - '0');
	}
	return n > max ? -1 : n;
}

static bool
is_decimal(const struct buf *b)
{
	size_t digits = strspn(b->data, "0123456789");
	size_t more = 0;

	if (b->data[digits] == '.')
		more = 1 + strspn(b->data + digits + 1, "0123456789");
	return digits >= 1 && digits <= 3 && digits + more == b->len &&
	       more <= 16;
}

static void
begin_value(struct reading *r, enum cdr_field f)
{
	r->offset[f] = r->cdr->text.len + 1;
}

/* Any text, cut to `max` bytes of whole characters, repaired. */
static void
put_text(struct reading *r, enum cdr_field f, size_t max)
{
	struct buf *text = &r->cdr->text;
	size_t start = text->len, end;

	begin_value(r, f);
	if (utf8_repair(text, r->plain.data, r->plain.len))
		r->cdr->repaired = true;
	if (text->len - start > max) {
		r->cdr->repaired = true;
		end = start + max;
		while (end > start && (text->data[end] & 0xc0) == 0x80)
			end--;
		text->len = end;
	}
	buf_putc(text, '\0');
}

static void
put_word(struct reading *r, enum cdr_field f, const char *word)
{
	begin_value(r, f);
	buf_add(&r->cdr->text, word, strlen(word) + 1);
}

/* False: never. */
static bool
put_time(struct reading *r, enum cdr_field f, int64_t us)
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;

	if (seconds < MIN_TIME || seconds >= MAX_TIME ||
	    !gmtime_r(&seconds, &tm))
		return false;
	if (f == CDR_START_TIME)
		r->cdr->start_us = us;
	begin_value(r, f);
	buf_printf(&r->cdr->text, "%04d-%02d-%02d %02d:%02d:%02d.%06d+00",
		   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		   tm.tm_min, tm.tm_sec, (int)(us % 1000000));
	buf_putc(&r->cdr->text, '\0');
	return true;
}

/* r->plain as the field's value; false: it does not fit, try the next. */
static bool
put_value(struct reading *r, enum cdr_field f)
{
	int64_t n;

	switch (cdr_fields[f].type) {
	case CDR_TYPE_TEXT:
		put_text(r, f, MAX_TEXT);
		return true;
	case CDR_TYPE_KEY:
		put_text(r, f, MAX_KEY);
		return true;
	case CDR_TYPE_UTIME:
		n = read_number(&r->plain, MAX_TIME * 1000000);
		return put_time(r, f, n);
	case CDR_TYPE_TIME:
		n = read_number(&r->plain, MAX_TIME);
		return put_time(r, f, n * 1000000);
	case CDR_TYPE_INT:
		if (read_number(&r->plain, INT32_MAX) == -1)
			return false;
		put_word(r, f, r->plain.data);
		return true;
	case CDR_TYPE_DECIMAL:
		if (!is_decimal(&r->plain))
			return false;
		put_word(r, f, r->plain.data);
		return true;
	case CDR_TYPE_BOOL:
		break;
	}
	return false;
}

static void
read_field(struct reading *r, enum cdr_field f)
{
	const char *s = cdr_fields[f].sources;
	size_t n;

	for (; *s; s += n + (s[n] == ' ')) {
		n = strcspn(s, " ");
		if (read_source(r, s, n) && put_value(r, f))
			return;
	}
}

/* Borrowed until the next value is put; "" for null. */
static const char *
value(const struct reading *r, enum cdr_field f)
{
	return r->offset[f] ? r->cdr->text.data + r->offset[f] - 1 : "";
}

static bool
is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

/* --- computed --------------------------------------------------------------
 */

/* The column takes three words; other systems' word for internal is local. */
static void
compute_direction(struct reading *r)
{
	static const char *const words[] = { "inbound", "outbound", "internal",
					     NULL };

	if (is_one_of(value(r, CDR_DIRECTION), words))
		return;
	if (strcmp(value(r, CDR_DIRECTION), "local") == 0)
		put_word(r, CDR_DIRECTION, "internal");
	else if (read_source(r, "direction", 9) &&
		 strcmp(r->plain.data, "outbound") == 0)
		put_word(r, CDR_DIRECTION, "outbound");
	else
		put_word(r, CDR_DIRECTION, "inbound");
}

/*
 * Who ended the call, in terms of the call and not of the leg.  What a leg
 * received was its own end's doing; what FreeSWITCH sent was the other end's
 * when the legs were bridged and nothing else explains it.
 */
static void
compute_hangup_by(struct reading *r)
{
	static const char *const people[] = { "NORMAL_CLEARING", "USER_BUSY",
					      "CALL_REJECTED",
					      "ORIGINATOR_CANCEL", NULL };
	const char *how = value(r, CDR_HANGUP_DISPOSITION), *by = "system";
	bool inbound, bridged = r->offset[CDR_BRIDGE_TIME] != 0;

	if (!*how)
		return;
	/* the leg's own direction, whatever the dialplan calls the call */
	inbound = !read_source(r, "direction", 9) ||
		  strcmp(r->plain.data, "inbound") == 0;
	if (strncmp(how, "recv_", 5) == 0)
		by = inbound ? "caller" : "callee";
	else if (strcmp(how, "send_cancel") == 0 && !inbound &&
		 strcmp(value(r, CDR_HANGUP_CAUSE), "ORIGINATOR_CANCEL") == 0)
		by = "caller";
	else if (bridged && is_one_of(value(r, CDR_HANGUP_CAUSE), people))
		by = inbound ? "callee" : "caller";
	else if (inbound && read_source(r, "originate_failed_cause", 22) &&
		 is_one_of(r->plain.data, people))
		by = "callee";
	put_word(r, CDR_HANGUP_BY, by);
}

/* --- the record ------------------------------------------------------------
 */

/* start_stamp has a space and colons. */
static bool
is_encoded(const json_t *variables)
{
	const char *stamp =
		json_string_value(json_object_get(variables, "start_stamp"));

	return stamp && (strstr(stamp, "%20") || strcasestr(stamp, "%3a"));
}

static int
read_root(struct reading *r, struct verr *e)
{
	json_t *callflow, *entry;

	if (!json_is_object(r->root))
		return verr_set(e, VERR_INPUT, "the body is no JSON object");
	r->variables = json_object_get(r->root, "variables");
	if (!json_is_object(r->variables))
		return verr_set(e, VERR_INPUT, "the CDR has no 'variables'");
	r->encoded = is_encoded(r->variables);
	callflow = json_object_get(r->root, "callflow");
	if (json_array_size(callflow) > 0) {
		entry = json_array_get(callflow, 0);
		r->first = json_object_get(entry, "caller_profile");
		r->times = json_object_get(entry, "times");
		entry = json_array_get(callflow, json_array_size(callflow) - 1);
		r->last = json_object_get(entry, "caller_profile");
	}
	return 0;
}

/* The two columns that make it a record. */
static int
read_key(struct reading *r, struct verr *e)
{
	if (!read_source(r, "uuid", 4))
		return buf_failed(&r->plain)
			       ? no_memory(e)
			       : verr_set(e, VERR_INPUT, "the CDR has no uuid");
	if (r->plain.len > MAX_KEY)
		return verr_set(e, VERR_INPUT,
				"the CDR's uuid is longer than %d bytes",
				MAX_KEY);
	read_field(r, CDR_LEG_UUID);
	read_field(r, CDR_START_TIME);
	if (buf_failed(&r->plain) || buf_failed(&r->cdr->text))
		return no_memory(e);
	if (!r->offset[CDR_START_TIME])
		return verr_set(e, VERR_INPUT, "the CDR has no start time");
	return 0;
}

static void
read_all(struct reading *r)
{
	for (enum cdr_field f = 0; f < CDR_FIELD_COUNT; f++)
		if (!r->offset[f])
			read_field(r, f);
	compute_direction(r);
	compute_hangup_by(r);
	put_word(r, CDR_REPAIRED, r->cdr->repaired ? "t" : "f");
}

static int
parse(struct cdr *c, bool key_only, const void *body, size_t len,
      struct verr *e)
{
	struct reading r = { .cdr = c, .plain = BUF_INIT };
	int rc = -1;

	if (c->text.size == 0)
		c->text = BUF_INIT;
	buf_clear(&c->text);
	memset(c->value, 0, sizeof(c->value));
	c->repaired = false;
	c->start_us = 0;
	r.root = load(body, len, &c->repaired, e);
	if (!r.root || read_root(&r, e) == -1 || read_key(&r, e) == -1)
		goto out;
	if (!key_only)
		read_all(&r);
	if (buf_failed(&c->text) || buf_failed(&r.plain)) {
		no_memory(e);
		goto out;
	}
	for (enum cdr_field f = 0; f < CDR_FIELD_COUNT; f++)
		if (r.offset[f])
			c->value[f] = c->text.data + r.offset[f] - 1;
	rc = 0;
out:
	json_decref(r.root);
	buf_release(&r.plain);
	return rc;
}

int
cdr_parse(struct cdr *c, const void *body, size_t len, struct verr *e)
{
	return parse(c, false, body, len, e);
}

/* The parser's answer without the parser, for nearly all. */
static bool
is_surely_cdr(const void *body, size_t len)
{
	struct buf text = BUF_INIT;
	struct verr ignored;
	bool form, sure;

	sure = cdr_decode(&text, &form, body, len, &ignored) == 0 && !form &&
	       utf8_valid(text.data, text.len) && cdr_scan(text.data, text.len);
	buf_release(&text);
	return sure;
}

int
cdr_check(const void *body, size_t len, struct verr *e)
{
	struct cdr c = { .text = BUF_INIT };
	int rc;

	if (is_surely_cdr(body, len))
		return 0;
	rc = parse(&c, true, body, len, e);
	cdr_release(&c);
	return rc;
}

void
cdr_release(struct cdr *c)
{
	buf_release(&c->text);
	memset(c->value, 0, sizeof(c->value));
}
