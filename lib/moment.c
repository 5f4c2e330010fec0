#include "moment.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOUR INT64_C(3600)

static int
is_wrong(const char *s, struct verr *e)
{
	return verr_set(e, VERR_INPUT,
			"'%.40s' is not a time\n"
			"hint: 2027-01-31, 2027-01-31T18:00:00Z, or from now "
			"90d, 12h, 2w",
			s);
}

/* A number of exactly `digits` digits at *s, which moves on; or -1. */
static int
number(const char **s, int digits)
{
	int n = 0;

	for (int i = 0; i < digits; i++, ++*s) {
		if (**s < '0' || **s > '9')
			return -1;
		n = n * 10 + (**s - '0');
	}
	return n;
}

static bool
take(const char **s, const char *set)
{
	if (!**s || !strchr(set, **s))
		return false;
	++*s;
	return true;
}

/* "+01:00", "Z" or nothing, up to the end: seconds east of Greenwich. */
static bool
zone(const char *s, int64_t *east)
{
	bool west = *s == '-';
	int hours, minutes;

	*east = 0;
	if (!*s || strcmp(s, "Z") == 0)
		return true;
	if (!take(&s, "+-"))
		return false;
	hours = number(&s, 2);
	take(&s, ":");
	minutes = *s ? number(&s, 2) : 0;
	if (*s || hours < 0 || hours > 15 || minutes < 0 || minutes > 59)
		return false;
	*east = (west ? -1 : 1) * (hours * HOUR + minutes * 60);
	return true;
}

static bool
absolute(const char *s, int64_t *at)
{
	struct tm tm = { 0 }, normal;
	int64_t east;
	time_t t;

	tm.tm_year = number(&s, 4) - 1900;
	if (tm.tm_year < 0 || !take(&s, "-") ||
	    (tm.tm_mon = number(&s, 2) - 1) < 0 || !take(&s, "-") ||
	    (tm.tm_mday = number(&s, 2)) < 1)
		return false;
	if (*s) {
		if (!take(&s, "T ") || (tm.tm_hour = number(&s, 2)) < 0 ||
		    !take(&s, ":") || (tm.tm_min = number(&s, 2)) < 0 ||
		    (take(&s, ":") && (tm.tm_sec = number(&s, 2)) < 0))
			return false;
	}
	if (!zone(s, &east))
		return false;
	normal = tm;
	t = timegm(&normal);
	/* timegm() takes February 30th for March 2nd. */
	if (normal.tm_mon != tm.tm_mon || normal.tm_mday != tm.tm_mday ||
	    normal.tm_hour != tm.tm_hour || normal.tm_min != tm.tm_min ||
	    normal.tm_sec != tm.tm_sec)
		return false;
	*at = (int64_t)t - east;
	return true;
}

static bool
relative(const char *s, int64_t *at)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = { { 'h', HOUR }, { 'd', 24 * HOUR }, { 'w', 168 * HOUR } };
	size_t n = strspn(s, "0123456789");

	if (n == 0 || n > 6 || !s[n] || s[n + 1])
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (s[n] != units[i].unit)
			continue;
		*at = (int64_t)time(NULL) + atol(s) * units[i].seconds;
		return true;
	}
	return false;
}

int
moment_utc(char out[MOMENT_TEXT], const char *s, struct verr *e)
{
	struct tm tm;
	int64_t at;
	time_t t;

	if (!relative(s, &at) && !absolute(s, &at))
		return is_wrong(s, e);
	t = (time_t)at;
	/* Four digits of the year, on both sides of the calendar's end. */
	if (!gmtime_r(&t, &tm) || tm.tm_year < 0 || tm.tm_year > 9999 - 1900)
		return is_wrong(s, e);
	strftime(out, MOMENT_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return 0;
}

int
valid_moment(const char *s, struct verr *e)
{
	char utc[MOMENT_TEXT];

	return moment_utc(utc, s, e);
}
