/*
 * cdr: every captured CDR, in each encoding, gives what its decoded document
 * says; and what cannot be one, or was tampered with, is told apart.
 */
#include <glob.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "b64.h"
#include "cdr.h"
#include "cdrscan.h"
#include "form.h"
#include "unit.h"
#include "utf8.h"

static struct buf
read_file(const char *path)
{
	struct buf b = BUF_INIT;
	FILE *f = fopen(path, "r");
	char chunk[65536];
	size_t n;

	if (!f) {
		printf("%s: cannot read\n", path);
		exit(1);
	}
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(&b, chunk, n);
	fclose(f);
	return b;
}

/* What the document beside a request says. */
static json_t *
read_document(const char *path)
{
	struct buf raw = read_file(path), text = BUF_INIT;
	json_t *json;

	utf8_repair(&text, raw.data, raw.len);
	json = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
	buf_release(&raw);
	buf_release(&text);
	return json;
}

static const char *
variable(json_t *doc, const char *name)
{
	return json_string_value(
		json_object_get(json_object_get(doc, "variables"), name));
}

static const char *
profile(json_t *doc, bool original, const char *name)
{
	json_t *flow = json_object_get(doc, "callflow");
	size_t i = original ? json_array_size(flow) - 1 : 0;

	return json_string_value(json_object_get(
		json_object_get(json_array_get(flow, i), "caller_profile"),
		name));
}

static const char *current; /* the file that is checked */

static void
same(const char *what, const char *got, const char *want)
{
	if (want && !*want)
		want = NULL;
	if ((!got && !want) || (got && want && strcmp(got, want) == 0))
		return;
	printf("%s: %s is '%s', not '%s'\n", current, what, got ? got : "null",
	       want ? want : "null");
	unit_failures++;
}

/* As PostgreSQL writes microseconds of the epoch. */
static const char *
stamp(const char *us)
{
	static char text[64];
	char date[32];
	long long n = us ? atoll(us) : 0;
	time_t t = (time_t)(n / 1000000);

	if (n == 0)
		return NULL;
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", gmtime(&t));
	snprintf(text, sizeof(text), "%s.%06lld+00", date, n % 1000000);
	return text;
}

static void
compare(const struct cdr *c, json_t *doc)
{
	const char *domain = variable(doc, "domain_name");

	if (!domain)
		domain = variable(doc, "dialed_domain");
	if (!domain && !variable(doc, "originator"))
		domain = variable(doc, "sip_from_host");
	same("leg_uuid", c->value[CDR_LEG_UUID], variable(doc, "uuid"));
	same("start_time", c->value[CDR_START_TIME],
	     stamp(variable(doc, "start_uepoch")));
	same("answer_time", c->value[CDR_ANSWER_TIME],
	     stamp(variable(doc, "answer_uepoch")));
	same("end_time", c->value[CDR_END_TIME],
	     stamp(variable(doc, "end_uepoch")));
	CHECK(c->start_us == atoll(variable(doc, "start_uepoch")));
	same("caller_number", c->value[CDR_CALLER_NUMBER],
	     profile(doc, false, "caller_id_number"));
	same("caller_name", c->value[CDR_CALLER_NAME],
	     profile(doc, false, "caller_id_name"));
	same("destination", c->value[CDR_DESTINATION],
	     profile(doc, true, "destination_number"));
	same("destination_last", c->value[CDR_DESTINATION_LAST],
	     profile(doc, false, "destination_number"));
	same("domain", c->value[CDR_DOMAIN], domain);
	same("direction", c->value[CDR_DIRECTION], variable(doc, "direction"));
	same("channel_direction", c->value[CDR_CHANNEL_DIRECTION],
	     variable(doc, "direction"));
	same("account", c->value[CDR_ACCOUNT], variable(doc, "user_name"));
	same("last_app", c->value[CDR_LAST_APP], variable(doc, "last_app"));
	same("duration", c->value[CDR_DURATION], variable(doc, "duration"));
	same("billsec", c->value[CDR_BILLSEC], variable(doc, "billsec"));
	same("billsec_ms", c->value[CDR_BILLSEC_MS], variable(doc, "billmsec"));
	same("hangup_cause", c->value[CDR_HANGUP_CAUSE],
	     variable(doc, "hangup_cause"));
	same("hangup_cause_q850", c->value[CDR_HANGUP_CAUSE_Q850],
	     variable(doc, "hangup_cause_q850"));
	same("queue", c->value[CDR_QUEUE], variable(doc, "cc_queue"));
	same("agent", c->value[CDR_AGENT], variable(doc, "cc_agent"));
	same("member", c->value[CDR_MEMBER_SESSION_UUID],
	     variable(doc, "cc_member_session_uuid"));
	same("node", c->value[CDR_NODE],
	     json_string_value(json_object_get(doc, "switchname")));
	same("sip_call_id", c->value[CDR_SIP_CALL_ID],
	     variable(doc, "sip_call_id"));
	same("mos", c->value[CDR_MOS], variable(doc, "rtp_audio_in_mos"));
	same("read_codec", c->value[CDR_READ_CODEC],
	     variable(doc, "read_codec"));
}

static struct buf
body_of(const struct buf *request)
{
	const char *body = strstr(request->data, "\r\n\r\n") + 4;
	struct buf b = BUF_INIT;

	buf_add(&b, body, request->len - (size_t)(body - request->data));
	return b;
}

/* A %22 that the phone sent is undone with the outer encoding. */
static bool
is_repaired(const char *path)
{
	return strstr(path, "latin1_name") || strstr(path, "cdr-form/") ||
	       strstr(path, "cdr-form-rawvalues/awkward_name-aleg");
}

static void
test_captures(void)
{
	struct verr e = VERR_INIT;
	struct cdr c = { 0 };
	size_t n = 0;
	glob_t g;

	CHECK(glob("tests/data/freeswitch/cdr-*/*.json", 0, NULL, &g) == 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct buf path = BUF_INIT, request, body, other = BUF_INIT;
		json_t *doc = read_document(g.gl_pathv[i]);

		current = g.gl_pathv[i];
		buf_add(&path, current, strlen(current) - 4);
		buf_puts(&path, "http");
		request = read_file(path.data);
		body = body_of(&request);
		if (!CHECK(doc != NULL))
			continue;
		if (!CHECK(cdr_parse(&c, body.data, body.len, &e) == 0))
			printf("%s: %s\n", current, e.msg);
		else
			compare(&c, doc);
		CHECK(cdr_check(body.data, body.len, &e) == 0);
		CHECK(c.repaired == is_repaired(current));
		/* as in the files of failed posts: no cdr=, a newline */
		if (strncmp(body.data, "cdr=", 4) == 0)
			buf_skip(&body, 4);
		buf_puts(&body, "\n");
		if (CHECK(cdr_parse(&c, body.data, body.len, &e) == 0))
			compare(&c, doc);
		/* as the other lossless encodings */
		if (body.data[0] == '{') {
			buf_puts(&other, "cdr=");
			b64_encode(&other, body.data, body.len);
			if (CHECK(cdr_parse(&c, other.data, other.len, &e) ==
				  0))
				compare(&c, doc);
			buf_clear(&other);
			buf_puts(&other, "cdr=");
			form_encode(&other, body.data, body.len);
			buf_puts(&other, "&x=1");
			if (CHECK(cdr_parse(&c, other.data, other.len, &e) ==
				  0))
				compare(&c, doc);
		}
		n++;
		json_decref(doc);
		buf_release(&path);
		buf_release(&request);
		buf_release(&body);
		buf_release(&other);
	}
	CHECK(n > 90);
	globfree(&g);
	cdr_release(&c);
}

/*
 * The scan reads what the parser reads: a name with an escape, put in front,
 * is nothing for the scan.
 */
static void
same_as_parsed(const char *body, size_t len)
{
	struct verr e = VERR_INIT;
	struct cdr scanned = { 0 }, parsed = { 0 };
	struct buf other = BUF_INIT;
	int rc;

	buf_puts(&other, "{\"\\u0021\":1,");
	buf_add(&other, body + 1, len - 1);
	rc = cdr_parse(&scanned, body, len, &e);
	CHECK(cdr_parse(&parsed, other.data, other.len, &e) == rc);
	for (int i = 0; rc == 0 && i < CDR_FIELD_COUNT; i++)
		same(cdr_fields[i].column, scanned.value[i], parsed.value[i]);
	cdr_release(&scanned);
	cdr_release(&parsed);
	buf_release(&other);
}

static void
test_scan_of_captures(void)
{
	struct cdr_sources sources = { .count = 0 };
	struct cdr_slot slots[CDR_SLOTS];
	size_t uuid = cdr_want(&sources, "uuid", 4), n = 0, taken = 0;
	glob_t g;

	cdr_want(&sources, "/callStats/audio/inbound/mos", 28);
	CHECK(glob("tests/data/freeswitch/cdr-*/*.http", 0, NULL, &g) == 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct buf request = read_file(g.gl_pathv[i]);
		struct buf body = body_of(&request);

		current = g.gl_pathv[i];
		if (body.data[0] == '{') {
			n++;
			same_as_parsed(body.data, body.len);
			taken += cdr_scan(&sources, slots, body.data,
					  body.len) &&
				 slots[uuid].len == 36;
		}
		buf_release(&request);
		buf_release(&body);
	}
	CHECK(n > 40);
	CHECK(taken > n - 3);
	if (taken <= n - 3)
		printf("%zu of %zu\n", taken, n);
	globfree(&g);
}

#define FLOW(n)                                                          \
	"{\"times\":{\"created_time\":\"" n "\"},\"caller_profile\":"    \
	"{\"caller_id_name\":\"name " n "\",\"destination_number\":\"" n \
	"\"}}"

static void
test_scan(void)
{
	static const char *const bodies[] = {
		"{\"variables\":{\"uuid\":\"u\",\"start_uepoch\":"
		"1795227092281418},\"callflow\":[" FLOW("1") "," FLOW("2") "]}",
		"{\"callflow\":[" FLOW(
			"1795227092281418") ",{},7],"
					    "\"variables\":{\"uuid\":\"a\\\"\\\\\\n\\/b\"}}",
		"{\"callflow\":[[" FLOW("1") "]," FLOW(
			"1795227092281418") "],\"variables\":{\"uuid\":\"u\",\"start_uepoch\":"
					    "\"1795227092281418\"}}",
		"{\"callflow\":{},\"variables\":{\"uuid\":\"u%20\","
		"\"start_stamp\":\"2026%2D11%20\",\"start_uepoch\":"
		"\"1795227092281418\",\"duration\":null,\"billsec\":1.5}}",
		"{\"app_log\":{\"applications\":[{\"app_name\":"
		"\"record_session\",\"app_data\":\"/a.wav\"},{\"app_name\":"
		"\"record_session\",\"app_data\":[]},{\"app_name\":1},5]},"
		"\"switchname\":\"n\",\"channel_data\":{\"direction\":"
		"\"outbound\"},\"callStats\":{\"audio\":{\"inbound\":"
		"{\"mos\":4.5}}},\"variables\":{\"uuid\":\"u\","
		"\"start_uepoch\":\"1795227092281418\"}}",
		"{\"variables\":{\"uuid\":\"u\",\"uuid\":\"v\","
		"\"start_uepoch\":\"1795227092281418\"}}",
		"{\"variables\":1,\"variables\":{\"uuid\":\"v\","
		"\"start_uepoch\":\"1795227092281418\"}}",
		"{\"variables\":{\"uuid\":\"u\\u00e4\\u0000\","
		"\"start_uepoch\":\"1795227092281418\"}}",
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		current = bodies[i];
		same_as_parsed(bodies[i], strlen(bodies[i]));
	}
}

/* --- hand-made records --------------------------------------------------- */

#define VARIABLES                                                        \
	"\"direction\":\"inbound\",\"uuid\":\"u-1\","                    \
	"\"start_uepoch\":\"1795227092281418\",\"answer_uepoch\":\"0\"," \
	"\"caller_id\":\"\\\"A\\\" <1>\",\"duration\":\"3\","            \
	"\"billsec\":\"0\",\"hangup_cause\":\"USER_BUSY\""
#define RECORD(more) "{\"variables\":{" VARIABLES more "}}"

static const struct {
	const char *body;
	const char *msg;
} refused[] = {
	{ "", "the body is empty" },
	{ " \r\n", "the body is empty" },
	{ "hello", "the body is neither JSON nor a form's 'cdr' nor base64 of "
		   "JSON" },
	{ "cdr=", "the body is neither JSON nor a form's 'cdr' nor base64 of "
		  "JSON" },
	{ "cdr=%3Ccdr%3E", "the body is XML, of mod_xml_cdr\n"
			   "hint: load mod_json_cdr in FreeSWITCH" },
	{ "cdr=PD94bWwgdmVyc2lvbj0", "the body is XML, of mod_xml_cdr\n"
				     "hint: load mod_json_cdr in FreeSWITCH" },
	{ "{}", "the CDR has no 'variables'" },
	{ "{\"variables\":[]}", "the CDR has no 'variables'" },
	{ "{\"variables\":{}}", "the CDR has no uuid" },
	{ "{\"variables\":{\"uuid\":\"\"}}", "the CDR has no uuid" },
	{ "{\"variables\":{\"uuid\":\"u\"}}", "the CDR has no start time" },
	{ "{\"variables\":{\"uuid\":\"u\",\"start_uepoch\":\"0\"}}",
	  "the CDR has no start time" },
	{ "{\"variables\":{\"uuid\":\"u\",\"start_uepoch\":\"-5\"}}",
	  "the CDR has no start time" },
	{ "{\"variables\":{\"uuid\":\"u\"",
	  "the body is no JSON: '}' expected near end of file at byte 24" },
	{ "cdr=%7B%22variables%22%3A%7B%22uuid%22%3A%22u%22",
	  "the CDR is cut short" },
	{ "cdr=eyJ%", "the CDR's base64 is broken: byte 0x25 at offset 3 is "
		      "not base64" },
};

static void
test_refused(void)
{
	for (size_t i = 0; i < COUNT(refused); i++) {
		struct verr e = VERR_INIT, again = VERR_INIT;
		struct cdr c = { 0 };
		const char *body = refused[i].body;

		CHECK(cdr_parse(&c, body, strlen(body), &e) == -1);
		CHECK(e.kind == VERR_INPUT);
		CHECK_STR(e.msg, refused[i].msg);
		CHECK(cdr_check(body, strlen(body), &again) == -1);
		CHECK_STR(again.msg, e.msg);
		cdr_release(&c);
	}
}

static void
parse(struct cdr *c, const char *body, size_t len)
{
	struct verr e = VERR_INIT;

	current = "hand-made";
	if (!CHECK(cdr_parse(c, body, len, &e) == 0))
		printf("%s\n", e.msg);
	CHECK(e.kind == VERR_NONE);
}

/* Bytes and values that do not fit lose themselves, not the record. */
static void
test_odd_values(void)
{
	static const char nul[] =
		RECORD(",\"accountcode\":\"a\\u0000b\","
		       "\"sip_user_agent\":\"x\x01\ny\0z\xe9\"");
	static const char big[] = RECORD(
		",\"mduration\":\"99999999999\",\"billmsec\":\"12a\","
		"\"rtp_audio_in_mos\":\"4.5.1\",\"direction\":\"sideways\","
		"\"sip_term_status\":486,\"end_uepoch\":"
		"\"9999999999999999\"");
	struct buf body = BUF_INIT;
	struct cdr c = { 0 };

	parse(&c, nul, sizeof(nul) - 1);
	CHECK(c.repaired);
	same("accountcode", c.value[CDR_ACCOUNTCODE],
	     "a\xef\xbf\xbd"
	     "b");
	same("user_agent", c.value[CDR_USER_AGENT],
	     "x\x01\ny\xef\xbf\xbdz\xc3\xa9");
	parse(&c, big, sizeof(big) - 1);
	same("duration_ms", c.value[CDR_DURATION_MS], NULL);
	same("billsec_ms", c.value[CDR_BILLSEC_MS], NULL);
	same("mos", c.value[CDR_MOS], NULL);
	same("direction", c.value[CDR_DIRECTION], "inbound");
	same("sip_term_status", c.value[CDR_SIP_TERM_STATUS], "486");
	same("end_time", c.value[CDR_END_TIME], NULL);

	buf_puts(&body, "{\"variables\":{" VARIABLES ",\"cc_queue\":\"");
	for (int i = 0; i < 200; i++)
		buf_puts(&body, "\xc3\xa9\xe2\x82\xac");
	buf_puts(&body, "\"}}");
	parse(&c, body.data, body.len);
	CHECK(c.repaired);
	CHECK(strlen(c.value[CDR_QUEUE]) == 255);
	CHECK(utf8_valid(c.value[CDR_QUEUE], 255));
	buf_release(&body);
	cdr_release(&c);
}

/* Names of queues come back as their tenants wrote them; a MOS that would be
 * rounded beyond its column is none. */
static void
test_names_and_scores(void)
{
	static const struct {
		const char *variable, *given, *queue, *mos;
	} records[] = {
		{ "cc_queue", "R%20%26%20D@a.example", "R & D@a.example",
		  NULL },
		{ "cc_queue", "50%25@a.example", "50%@a.example", NULL },
		/* FreeSWITCH has decoded these */
		{ "cc_queue", "R & D%41@a.example", "R & D%41@a.example",
		  NULL },
		{ "cc_queue", "support@a.example", "support@a.example", NULL },
		{ "cc_queue", "%C5%BE%00%FF@a",
		  "\xc5\xbe\xef\xbf\xbd\xc3\xbf@a", NULL },
		{ "cc_queue", "broken%2@a", "broken%2@a", NULL },
		{ "rtp_audio_in_mos", "4.5", NULL, "4.5" },
		{ "rtp_audio_in_mos", "99.999999", NULL, "99.999999" },
		{ "rtp_audio_in_mos", "999.999999", NULL, NULL },
		{ "rtp_audio_in_mos", "123", NULL, NULL },
	};
	struct cdr c = { 0 };

	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		struct buf body = BUF_INIT;

		buf_puts(&body, "{\"variables\":{" VARIABLES);
		buf_printf(&body, ",\"%s\":\"%s\"}}", records[i].variable,
			   records[i].given);
		parse(&c, body.data, body.len);
		same("queue", c.value[CDR_QUEUE], records[i].queue);
		same("mos", c.value[CDR_MOS], records[i].mos);
		buf_release(&body);
	}
	cdr_release(&c);
}

/* A gateway's host is no tenant; the dialplan's word is of the call. */
static void
test_sides(void)
{
	static const struct {
		const char *more, *domain, *direction, *channel;
	} legs[] = {
		{ ",\"sip_from_host\":\"PBX.Example\"", "pbx.example",
		  "inbound", "inbound" },
		{ ",\"domain_name\":\"A.example\",\"sip_from_host\":\"b\","
		  "\"call_direction\":\"outbound\"",
		  "a.example", "outbound", "inbound" },
		/* a header that anybody may send */
		{ ",\"domain_name\":\"a.example\","
		  "\"sip_h_X-VOIP-DOMAIN\":\"b.example\"",
		  "a.example", "inbound", "inbound" },
		{ ",\"sip_h_X-VOIP-DOMAIN\":\"b.example\","
		  "\"sip_from_host\":\"c\"",
		  "b.example", "inbound", "inbound" },
		{ ",\"direction\":\"outbound\",\"originator\":\"u-0\","
		  "\"call_direction\":\"local\",\"sip_from_host\":\"10.0.0.1\"",
		  NULL, "internal", "outbound" },
		{ ",\"direction\":\"outbound\",\"sip_from_host\":\"b\","
		  "\"cc_member_session_uuid\":\"u-0\"",
		  NULL, "outbound", "outbound" },
		{ ",\"direction\":\"outbound\",\"sip_from_host\":\"b\"", "b",
		  "outbound", "outbound" },
	};
	struct cdr c = { 0 };

	for (size_t i = 0; i < sizeof(legs) / sizeof(legs[0]); i++) {
		struct buf body = BUF_INIT;

		current = legs[i].more;
		buf_puts(&body, "{\"variables\":{\"uuid\":\"u-1\","
				"\"start_uepoch\":\"1795227092281418\"");
		buf_printf(&body, "%s}}", legs[i].more);
		parse(&c, body.data, body.len);
		same("domain", c.value[CDR_DOMAIN], legs[i].domain);
		same("direction", c.value[CDR_DIRECTION], legs[i].direction);
		same("channel_direction", c.value[CDR_CHANNEL_DIRECTION],
		     legs[i].channel);
		buf_release(&body);
	}
	cdr_release(&c);
}

/* As FreeSWITCH encodes twice: %XX stays as it is. */
static void
encode_twice(struct buf *out, const char *s)
{
	buf_puts(out, "cdr=");
	for (; *s; s++) {
		if (strchr("\r\n #%&+:;<=>?@[\\]^`{|}\"", *s) &&
		    !(*s == '%' && strspn(s + 1, "0123456789ABCDEF") >= 2))
			buf_printf(out, "%%%02X", (unsigned char)*s);
		else
			buf_putc(out, *s);
	}
}

#define EVIL                                                          \
	"x%22,%22uuid%22%3A%22forged%22,%22start_uepoch%22%3A%22"     \
	"1500000000000000%22,%22billsec%22%3A%220%22,%22hangup_cause" \
	"%22%3A%22USER_BUSY%22,%22domain_name%22%3A%22victim.example" \
	"%22%7D,%22callflow%22%3A%5B%7B%7D%5D%7D"

static void
test_forgery(void)
{
	static const char text[] =
		"{\"switchname\":\"n\",\"variables\":{\"direction\":"
		"\"inbound\",\"uuid\":\"true\",\"sip_from_display\":\"" EVIL
		"\",\"sip_from_host\":\"own.example\",\"hangup_cause\":"
		"\"NORMAL_CLEARING\",\"start_stamp\":"
		"\"2026-11-21%2003%3A11%3A32\",\"start_uepoch\":"
		"\"1795227092281418\",\"caller_id\":\"%22" EVIL
		"%22%20%3C1001%3E\",\"duration\":\"70\",\"billsec\":\"60\"},"
		"\"callflow\":[{\"caller_profile\":{\"caller_id_number\":"
		"\"1001\",\"destination_number\":\"1002\"}}]}";
	struct buf body = BUF_INIT;
	struct cdr c = { 0 };

	encode_twice(&body, text);
	parse(&c, body.data, body.len);
	CHECK(c.repaired);
	same("leg_uuid", c.value[CDR_LEG_UUID], "true");
	same("start_time", c.value[CDR_START_TIME],
	     "2026-11-21 02:11:32.281418+00");
	same("billsec", c.value[CDR_BILLSEC], "60");
	same("hangup_cause", c.value[CDR_HANGUP_CAUSE], "NORMAL_CLEARING");
	same("domain", c.value[CDR_DOMAIN], "own.example");
	same("caller_number", c.value[CDR_CALLER_NUMBER], "1001");
	same("destination", c.value[CDR_DESTINATION], "1002");
	buf_release(&body);
	cdr_release(&c);
}

static void
with_failures(bool may_fail)
{
	static const char body[] = RECORD(",\"sip_user_agent\":\"x\xe9\"");
	struct verr e = VERR_INIT;
	struct cdr c = { 0 };

	if (cdr_parse(&c, body, sizeof(body) - 1, &e) == 0)
		same("user_agent", c.value[CDR_USER_AGENT], "x\xc3\xa9");
	else
		CHECK(may_fail && e.kind == VERR_RETRY);
	cdr_release(&c);
}

int
main(void)
{
	test_captures();
	test_scan_of_captures();
	test_scan();
	test_refused();
	test_odd_values();
	test_names_and_scores();
	test_sides();
	test_forgery();
	CHECK(unit_each_failure(with_failures) > 3);
	return unit_end();
}
