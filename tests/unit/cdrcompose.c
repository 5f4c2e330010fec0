/* cdrcompose: columns make a body that makes the same columns. */

#include "cdrcompose.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "filereplace.h"
#include "unit.h"

#define NUMBER 24

static int64_t
microseconds(const char *text)
{
	struct tm tm = { 0 };
	int us = 0;

	sscanf(text, "%d-%d-%d %d:%d:%d.%d", &tm.tm_year, &tm.tm_mon,
	       &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &us);
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t)timegm(&tm) * 1000000 + us;
}

/* As the database gives them. */
static void
take(const struct cdr *c, char numbers[CDR_FIELD_COUNT][NUMBER],
     const char **values)
{
	for (int f = 0; f < CDR_FIELD_COUNT; f++) {
		enum cdr_type type = cdr_fields[f].type;
		int64_t us;

		values[f] = c->value[f];
		if (!values[f] ||
		    (type != CDR_TYPE_UTIME && type != CDR_TYPE_TIME))
			continue;
		us = microseconds(values[f]);
		snprintf(
			numbers[f], NUMBER, "%lld",
			(long long)(type == CDR_TYPE_TIME ? us / 1000000 : us));
		values[f] = numbers[f];
	}
}

static bool
survives(const char *body, size_t len)
{
	char numbers[CDR_FIELD_COUNT][NUMBER];
	const char *values[CDR_FIELD_COUNT], *differs;
	struct cdr first = { .text = BUF_INIT }, again = { .text = BUF_INIT };
	struct buf made = BUF_INIT;
	struct verr e = VERR_INIT;
	bool same;

	CHECK(cdr_parse(&first, body, len, &e) == 0);
	take(&first, numbers, values);
	cdr_compose(&made, values);
	differs = cdr_compose_check(&again, made.data, made.len, values);
	same = !differs && !strchr(made.data, '\n');
	if (differs)
		printf("%s differs: %s\n", differs, made.data);
	buf_release(&made);
	cdr_release(&first);
	cdr_release(&again);
	return same;
}

static void
test_captures(void)
{
	glob_t g;

	CHECK(glob("tests/data/freeswitch/cdr-*/*.json", 0, NULL, &g) == 0);
	CHECK(g.gl_pathc > 10);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct buf body = BUF_INIT;
		struct verr e = VERR_INIT;

		CHECK(file_read(g.gl_pathv[i], 1 << 20, &body, &e) == 0);
		if (cdr_check(body.data, body.len, &e) == 0 &&
		    !survives(body.data, body.len)) {
			printf("%s\n", g.gl_pathv[i]);
			CHECK(!"the same columns");
		}
		buf_release(&body);
	}
	globfree(&g);
}

/* What is computed, and text that is hostile. */
static void
test_odd(void)
{
	static const char *const bodies[] = {
		"{\"variables\":{\"uuid\":\"a\",\"start_uepoch\":"
		"\"1790000000000001\"}}",
		"{\"variables\":{\"uuid\":\"a\\\"}{\",\"start_uepoch\":"
		"\"1790000000000001\",\"direction\":\"inbound\","
		"\"sip_hangup_disposition\":\"send_refuse\","
		"\"originate_failed_cause\":\"USER_BUSY\","
		"\"sip_from_host\":\"Example.COM\"}}",
		"{\"variables\":{\"uuid\":\"a\",\"start_uepoch\":"
		"\"1790000000000001\",\"direction\":\"outbound\","
		"\"originator\":\"b\",\"call_direction\":\"local\","
		"\"sip_hangup_disposition\":\"recv_bye\","
		"\"rtp_audio_in_mos\":\"4.499\"},\"callflow\":["
		"{\"caller_profile\":{\"destination_number\":\"2\"}},"
		"{\"caller_profile\":{\"destination_number\":\"1\"}}]}",
		"{\"variables\":{\"uuid\":\"a\",\"start_uepoch\":"
		"\"1790000000000001\",\"start_stamp\":"
		"\"2026-09-21%2014%3A13%3A20\",\"dialed_user\":"
		"\"%22%0A%3Ctag%3E%2520\",\"sip_user_agent\":\"\\u0007x\"}}",
	};

	for (size_t i = 0; i < COUNT(bodies); i++)
		CHECK(survives(bodies[i], strlen(bodies[i])));
}

int
main(void)
{
	test_captures();
	test_odd();
	return unit_end();
}
