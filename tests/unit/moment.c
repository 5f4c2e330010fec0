/* moment: times as people write them. */

#include "unit.h"

#include <time.h>

#include "moment.h"

static const struct {
	const char *text, *utc; /* NULL: refused */
} moments[] = {
	{ "2027-01-31", "2027-01-31T00:00:00Z" },
	{ "2027-01-31T18:00", "2027-01-31T18:00:00Z" },
	{ "2027-01-31T18:00Z", "2027-01-31T18:00:00Z" },
	{ "2027-01-31 18:00:05", "2027-01-31T18:00:05Z" },
	{ "2027-01-31T23:30:00-01:00", "2027-02-01T00:30:00Z" },
	{ "2027-01-31T00:30+0100", "2027-01-30T23:30:00Z" },
	{ "2027-01-31T00:30+01", "2027-01-30T23:30:00Z" },
	{ "2028-02-29", "2028-02-29T00:00:00Z" },
	{ "2027-02-29", NULL },
	{ "2027-13-01", NULL },
	{ "2027-00-01", NULL },
	{ "2027-01-00", NULL },
	{ "2027-01-31T24:00", NULL },
	{ "2027-01-31T12:60", NULL },
	{ "2027-01-31T12:00:60", NULL },
	{ "2027-01-31T12", NULL },
	{ "2027-01-31T12:00+", NULL },
	{ "2027-01-31T12:00+99:00", NULL },
	{ "2027-01-31T12:00Zx", NULL },
	{ "2027-1-31", NULL },
	{ "9999-12-31T23:59-12:00", NULL },
	{ "1800-01-01", NULL },
	{ "", NULL },
	{ "d", NULL },
	{ "5", NULL },
	{ "5m", NULL },
	{ "5dd", NULL },
	{ "-5d", NULL },
	{ "9999999d", NULL },
	{ "999999w", NULL },
	{ "infinity", NULL },
};

static void
test_table(void)
{
	for (size_t i = 0; i < COUNT(moments); i++) {
		char utc[MOMENT_TEXT] = "";
		struct verr e = VERR_INIT;
		int rc = moment_utc(utc, moments[i].text, &e);

		if ((rc == 0) != (moments[i].utc != NULL))
			printf("'%s': %d %s\n", moments[i].text, rc, utc);
		CHECK((rc == 0) == (moments[i].utc != NULL));
		if (rc == 0 && moments[i].utc)
			CHECK_STR(utc, moments[i].utc);
		else
			CHECK(e.kind == VERR_INPUT);
	}
}

static void
test_from_now(void)
{
	static const struct {
		const char *text;
		long seconds;
	} rows[] = { { "2h", 7200 }, { "3d", 259200 }, { "1w", 604800 } };

	for (size_t i = 0; i < COUNT(rows); i++) {
		char utc[MOMENT_TEXT];
		struct verr e = VERR_INIT;
		struct tm tm = { 0 };
		time_t before = time(NULL), at;

		CHECK(moment_utc(utc, rows[i].text, &e) == 0);
		CHECK(strptime(utc, "%Y-%m-%dT%H:%M:%SZ", &tm) != NULL);
		at = timegm(&tm);
		CHECK(at >= before + rows[i].seconds);
		CHECK(at <= time(NULL) + rows[i].seconds);
	}
}

int
main(void)
{
	test_table();
	test_from_now();
	return unit_end();
}
