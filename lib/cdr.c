#include "cdr.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cdrbody.h"
#include "cdrraw.h"
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

/* The sources of all columns, in the slots of one table. */
#define MAX_SOURCES 6

static struct {
	struct cdr_sources sources;
	uint8_t slots[CDR_FIELD_COUNT][MAX_SOURCES];
	uint8_t count[CDR_FIELD_COUNT];
	size_t start_stamp;
	size_t direction;
	size_t channel_direction;
	size_t from_host;
	size_t failed_cause;
} plan;

/* One record while it is read. */
struct reading {
	struct cdr *cdr;
	struct cdr_body body;
	bool encoded; /* the values of variables are percent-encoded */
	size_t offset[CDR_FIELD_COUNT]; /* in cdr->text, plus one; 0: null */
	struct buf plain;               /* a value, decoded */
	struct buf unescaped;
};

static int
no_memory(struct verr *e)
{
	return verr_set(e, VERR_RETRY, "no memory for a CDR");
}

/* --- sources ---------------------------------------------------------- */

static void
make_plan(void)
{
	const char *s;

	if (plan.sources.count)
		return;
	for (enum cdr_field f = 0; f < CDR_FIELD_COUNT; f++) {
		s = cdr_fields[f].sources;
		for (size_t n; *s; s += n + (s[n] == ' ')) {
			n = strcspn(s, " ");
			assert(plan.count[f] < MAX_SOURCES);
			plan.slots[f][plan.count[f]++] =
				(uint8_t)cdr_want(&plan.sources, s, n);
		}
	}
	plan.start_stamp = cdr_want(&plan.sources, "start_stamp", 11);
	plan.direction = cdr_want(&plan.sources, "direction", 9);
	plan.channel_direction =
		cdr_want(&plan.sources, "/channel_data/direction", 23);
	plan.from_host = cdr_want(&plan.sources, "sip_from_host", 13);
	plan.failed_cause =
		cdr_want(&plan.sources, "originate_failed_cause", 22);
}

/* The escapes of one character, which the scan let pass. */
static void
unescape(struct buf *out, const struct cdr_slot *slot)
{
	static const char escapes[] = "bfnrt", bytes[] = "\b\f\n\r\t";

	for (size_t i = 0; i < slot->len; i++) {
		const char *c = slot->s[i] == '\\'
					? strchr(escapes, slot->s[++i])
					: NULL;

		buf_putc(out, c ? bytes[c - escapes] : slot->s[i]);
	}
}

/* One source's text in r->plain, decoded; false when it has none. */
static bool
read_source(struct reading *r, size_t i)
{
	const struct cdr_slot *slot = &r->body.slots[i];
	const char *s = slot->s;
	size_t len = slot->len;

	buf_clear(&r->plain);
	if (!s)
		return false;
	if (slot->escaped) {
		buf_clear(&r->unescaped);
		unescape(&r->unescaped, slot);
		s = r->unescaped.data;
		len = r->unescaped.len;
	}
	if (r->encoded && plan.sources.wanted[i].place == CDR_IN_VARIABLES)
		form_decode(&r->plain, s, len, false);
	else
		buf_add(&r->plain, s, len);
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
	/* rounded, it must fit numeric(5,2) */
	return digits >= 1 && digits <= 2 && digits + more == b->len &&
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

/*
 * A queue's name as its tenant wrote it.  FreeSWITCH has it percent-encoded,
 * and gives it back decoded already when it encodes the values of variables.
 */
static void
decode_name(struct buf *name)
{
	static const char alphabet[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_.-%@";
	struct buf decoded = BUF_INIT;

	if (!memchr(name->data, '%', name->len) ||
	    strspn(name->data, alphabet) != name->len)
		return;
	form_decode(&decoded, name->data, name->len, false);
	buf_clear(name);
	buf_add(name, decoded.data, decoded.len);
	if (buf_failed(&decoded))
		name->failed = true;
	buf_release(&decoded);
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
	case CDR_TYPE_NAME:
		decode_name(&r->plain);
		put_text(r, f, MAX_KEY);
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
	for (size_t i = 0; i < plan.count[f]; i++)
		if (read_source(r, plan.slots[f][i]) && put_value(r, f))
			return;
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
	bool made = (read_source(r, plan.direction) ||
		     read_source(r, plan.channel_direction)) &&
		    strcmp(r->plain.data, "outbound") == 0;

	put_word(r, CDR_CHANNEL_DIRECTION, made ? "outbound" : "inbound");
	if (is_one_of(value(r, CDR_DIRECTION), words))
		return;
	if (strcmp(value(r, CDR_DIRECTION), "local") == 0)
		put_word(r, CDR_DIRECTION, "internal");
	else
		put_word(r, CDR_DIRECTION, made ? "outbound" : "inbound");
}

static bool
is_made(const struct reading *r)
{
	return strcmp(value(r, CDR_CHANNEL_DIRECTION), "outbound") == 0;
}

static void
compute_domain(struct reading *r)
{
	bool led = r->offset[CDR_ORIGINATOR_UUID] ||
		   r->offset[CDR_MEMBER_SESSION_UUID];
	char *c;

	if (!r->offset[CDR_DOMAIN] && !(is_made(r) && led) &&
	    read_source(r, plan.from_host))
		put_text(r, CDR_DOMAIN, MAX_KEY);
	if (!r->offset[CDR_DOMAIN] || buf_failed(&r->cdr->text))
		return;
	for (c = r->cdr->text.data + r->offset[CDR_DOMAIN] - 1; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
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
	/* the leg's own direction, whatever the dialplan calls the call */
	bool inbound = !is_made(r), bridged = r->offset[CDR_BRIDGE_TIME] != 0;

	if (!*how)
		return;
	if (strncmp(how, "recv_", 5) == 0)
		by = inbound ? "caller" : "callee";
	else if (strcmp(how, "send_cancel") == 0 && !inbound &&
		 strcmp(value(r, CDR_HANGUP_CAUSE), "ORIGINATOR_CANCEL") == 0)
		by = "caller";
	else if (bridged && is_one_of(value(r, CDR_HANGUP_CAUSE), people))
		by = inbound ? "callee" : "caller";
	else if (inbound && read_source(r, plan.failed_cause) &&
		 is_one_of(r->plain.data, people))
		by = "callee";
	put_word(r, CDR_HANGUP_BY, by);
}

/* --- the record ------------------------------------------------------------
 */

/* start_stamp has a space and colons. */
static bool
is_encoded(const struct reading *r)
{
	const struct cdr_slot *stamp = &r->body.slots[plan.start_stamp];

	return stamp->s && (memmem(stamp->s, stamp->len, "%20", 3) ||
			    memmem(stamp->s, stamp->len, "%3A", 3) ||
			    memmem(stamp->s, stamp->len, "%3a", 3));
}

/* The two columns that make it a record. */
static int
read_key(struct reading *r, struct verr *e)
{
	if (!read_source(r, plan.slots[CDR_LEG_UUID][0]))
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
	compute_domain(r);
	compute_hangup_by(r);
	put_word(r, CDR_REPAIRED, r->cdr->repaired ? "t" : "f");
}

static void
make_raw(struct cdr *c, const struct cdr_body *body)
{
	char *text;

	if (!body->parsed) {
		cdr_raw(&c->raw, body->text.data, body->text.len);
		return;
	}
	text = json_dumps(body->root, JSON_COMPACT);
	if (text)
		cdr_raw(&c->raw, text, strlen(text));
	else
		c->raw.failed = true;
	free(text);
}

static int
parse(struct cdr *c, bool key_only, const void *body, size_t len,
      struct verr *e)
{
	struct reading r;
	int rc = -1;

	make_plan();
	r.cdr = c;
	r.plain = r.unescaped = BUF_INIT;
	memset(r.offset, 0, sizeof(r.offset));
	if (c->text.size == 0)
		c->text = BUF_INIT;
	if (c->raw.size == 0)
		c->raw = BUF_INIT;
	buf_clear(&c->text);
	buf_clear(&c->raw);
	memset(c->value, 0, sizeof(c->value));
	c->start_us = 0;
	if (cdr_body_read(&r.body, &plan.sources, body, len, e) == -1)
		goto out;
	c->repaired = r.body.repaired;
	r.encoded = is_encoded(&r);
	if (read_key(&r, e) == -1)
		goto out;
	if (!key_only)
		read_all(&r);
	if (c->want_raw)
		make_raw(c, &r.body);
	if (buf_failed(&c->text) || buf_failed(&c->raw) ||
	    buf_failed(&r.plain) || buf_failed(&r.unescaped)) {
		no_memory(e);
		goto out;
	}
	for (enum cdr_field f = 0; f < CDR_FIELD_COUNT; f++)
		if (r.offset[f])
			c->value[f] = c->text.data + r.offset[f] - 1;
	rc = 0;
out:
	cdr_body_release(&r.body);
	buf_release(&r.plain);
	buf_release(&r.unescaped);
	return rc;
}

int
cdr_parse(struct cdr *c, const void *body, size_t len, struct verr *e)
{
	return parse(c, false, body, len, e);
}

int
cdr_check(const void *body, size_t len, struct verr *e)
{
	struct cdr c = { .text = BUF_INIT };
	int rc = parse(&c, true, body, len, e);

	cdr_release(&c);
	return rc;
}

void
cdr_release(struct cdr *c)
{
	buf_release(&c->text);
	buf_release(&c->raw);
	memset(c->value, 0, sizeof(c->value));
}
