#include "capture.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include <openssl/evp.h>

void
die(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("fsplay: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

void *
need(void *p)
{
	if (!p)
		die(EX_TEMPFAIL, "out of memory");
	return p;
}

/* The text of a file, NUL-terminated. */
static char *
slurp(const char *file, size_t *len)
{
	FILE *f = fopen(file, "rb");
	char *text = NULL;
	size_t size = 0, n;

	*len = 0;
	if (!f)
		die(EX_DATAERR, "cannot open '%s': %s", file, strerror(errno));
	do {
		size += 65536;
		text = need(realloc(text, size + 1));
		n = fread(text + *len, 1, size - *len, f);
		*len += n;
	} while (n > 0);
	if (ferror(f))
		die(EX_OSERR, "cannot read '%s'", file);
	fclose(f);
	text[*len] = '\0';
	return text;
}

/* The head with `path?query` as its target, then `body`. */
static void
capture_store(struct capture *c, const char *path, const char *head,
	      size_t head_len, const char *body, size_t body_len)
{
	const char *from = memchr(head, ' ', head_len);
	const char *to = from ? strpbrk(from + 1, "? ") : NULL;
	const char *last;
	size_t keep, size;

	if (!to || to > head + head_len)
		die(EX_DATAERR, "'%s' does not start with an HTTP request line",
		    c->file);
	from++;
	for (last = to; last > from && last[-1] != '/'; last--)
		;
	if (!path)
		last = from, path = "";
	else if (path[strlen(path) - 1] != '/')
		last = to;
	keep = head_len - (size_t)(to - head);
	size = head_len + strlen(path) + body_len + 1;
	c->text = need(malloc(size));
	c->len = (size_t)snprintf(c->text, size, "%.*s%s%.*s%.*s",
				  (int)(from - head), head, path,
				  (int)(to - last), last, (int)keep, to);
	c->body = c->len;
	memcpy(c->text + c->len, body, body_len);
	c->len += body_len;
	c->text[c->len] = '\0';
}

static bool
is_uuid(const char *s)
{
	for (int i = 0; i < CAPTURE_UUID_LEN; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return false;
	}
	return true;
}

/* The same captured uuid, seed and round always give the same new one. */
static void
new_uuid(char *s, const struct capture_change *change)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	char from[CAPTURE_UUID_LEN + 40], hex[32];
	int n = snprintf(from, sizeof(from), "%.*s/%d/%u", CAPTURE_UUID_LEN, s,
			 change->seed, change->round);
	const char *h = hex;

	if (!EVP_Digest(from, (size_t)n, sum, NULL, EVP_sha256(), NULL))
		die(EX_SOFTWARE, "no SHA-256");
	for (int i = 0; i < 32; i++)
		hex[i] = "0123456789abcdef"[sum[i / 2] >> (i % 2 ? 0 : 4) & 15];
	for (int i = 0; i < CAPTURE_UUID_LEN; i++)
		if (s[i] != '-')
			s[i] = *h++;
	s[14] = '4'; /* version and variant of RFC 4122 */
	s[19] = "89ab"[sum[8] & 3];
}

static void
put_number(char *s, int digits, int64_t value)
{
	while (digits-- > 0) {
		s[digits] = (char)('0' + value % 10);
		value /= 10;
	}
}

/* "2026-11-21 03:19:35" with the blank and colons as they are or as %XX. */
static size_t
move_stamp(char *s, int64_t seconds)
{
	char *part[6] = { s, s + 5, s + 8 };
	struct tm tm = { 0 };
	int value[6], digits;
	char *p = s + 10;
	time_t t;

	for (int i = 3; i < 6; i++) {
		if (!strncmp(p, i == 3 ? "%20" : "%3A", 3))
			p += 3;
		else if (*p == (i == 3 ? ' ' : ':'))
			p++;
		else
			return 0;
		part[i] = p;
		if (!isdigit((unsigned char)p[0]) ||
		    !isdigit((unsigned char)p[1]))
			return 0;
		p += 2;
	}
	for (int i = 0; i < 6; i++)
		if (sscanf(part[i], i ? "%2d" : "%4d", &value[i]) != 1)
			return 0;
	tm.tm_year = value[0] - 1900;
	tm.tm_mon = value[1] - 1;
	tm.tm_mday = value[2];
	tm.tm_hour = value[3];
	tm.tm_min = value[4];
	tm.tm_sec = value[5];
	t = timegm(&tm) + seconds;
	gmtime_r(&t, &tm);
	value[0] = tm.tm_year + 1900;
	value[1] = tm.tm_mon + 1;
	value[2] = tm.tm_mday;
	value[3] = tm.tm_hour;
	value[4] = tm.tm_min;
	value[5] = tm.tm_sec;
	for (int i = 0; i < 6; i++) {
		digits = i ? 2 : 4;
		put_number(part[i], digits, value[i]);
	}
	return (size_t)(p - s);
}

/* The number after the first `name`; 0 when there is none. */
static int64_t
epoch_after(const char *text, size_t len, const char *name)
{
	const char *p = memmem(text, len, name, strlen(name));

	if (!p)
		return 0;
	/* between them stands ":" or %22%3A%22 */
	for (p += strlen(name); *p; p++)
		if (!strncmp(p, "%22", 3) || !strncmp(p, "%3A", 3))
			p += 2;
		else if (isdigit((unsigned char)*p))
			return strtoll(p, NULL, 10);
	return 0;
}

/* Where a uuid or a number starts; replacing keeps every length. */
static void
find_spots(struct capture *c)
{
	size_t size = 0, done;

	c->spots = NULL;
	c->n_spots = 0;
	for (size_t i = 0; i < c->len; i += done) {
		done = strspn(c->text + i, "0123456789");
		if (c->len - i >= CAPTURE_UUID_LEN && is_uuid(c->text + i))
			done = CAPTURE_UUID_LEN;
		if (!done) {
			/* the digits of an escape are no number */
			done = c->text[i] == '%' && c->len - i > 2 ? 3 : 1;
			continue;
		}
		if (c->n_spots == size) {
			size = size ? size * 2 : 256;
			c->spots = need(
				realloc(c->spots, size * sizeof(*c->spots)));
		}
		c->spots[c->n_spots++] = i;
	}
}

/*
 * Every time moved: epochs in seconds (10 digits) and microseconds (16), when
 * they are within a day of the call, and stamps.
 */
static void
move_time(char *p, size_t left, int64_t seconds, int64_t start)
{
	const int64_t day = 86400;
	size_t digits = strspn(p, "0123456789");
	int64_t n;

	if (digits == 4 && p[4] == '-' && left > 18) {
		move_stamp(p, seconds);
	} else if (digits == 10 || digits == 16) {
		n = strtoll(p, NULL, 10);
		if (digits == 16)
			n /= 1000000;
		if (n > start - day && n < start + day)
			put_number(p, 10, n + seconds);
	}
}

/* New uuids in head and body, times in the body. */
static void
rewrite(const struct capture *c, char *text,
	const struct capture_change *change)
{
	int64_t start = capture_epoch(c, "start_uepoch") / 1000000;

	for (size_t i = 0; i < c->n_spots; i++) {
		char *p = text + c->spots[i];
		size_t left = c->len - c->spots[i];

		if (left >= CAPTURE_UUID_LEN && is_uuid(p)) {
			if (change->new_uuids)
				new_uuid(p, change);
		} else if (start && c->spots[i] >= c->body) {
			move_time(p, left, change->seconds, start);
		}
	}
}

int64_t
capture_epoch(const struct capture *c, const char *name)
{
	return epoch_after(c->text + c->body, c->len - c->body, name);
}

void
capture_read(struct capture *c, const char *file, const char *target)
{
	size_t len, head_len, body_len;
	char *text = slurp(file, &len);
	char *end = memmem(text, len, "\r\n\r\n", 4);
	char *body;
	int n;

	c->file = file;
	if (!end)
		die(EX_DATAERR, "'%s' has no empty line after its head", file);
	head_len = (size_t)(end + 4 - text);
	body = text + head_len;
	body_len = len - head_len;
	if (body_len > 8 && body_len % 4 == 0 && !memcmp(body, "cdr=ey", 6)) {
		/* 3 bytes for 4, less one for each "=" at the end. */
		n = EVP_DecodeBlock((unsigned char *)body,
				    (unsigned char *)body + 4,
				    (int)body_len - 4);
		if (n < 0)
			die(EX_DATAERR, "'%s' is not base64", file);
		n -= (text[len - 1] == '=') + (text[len - 2] == '=');
		body_len = (size_t)n;
		c->base64 = true;
	}
	capture_store(c, target, text, head_len, body, body_len);
	free(text);
	find_spots(c);
}

char *
capture_wire(const struct capture *c, const struct capture_change *change,
	     size_t *len)
{
	char *text = need(malloc(c->len + 1)), *wire;
	int n;

	memcpy(text, c->text, c->len + 1);
	rewrite(c, text, change);
	*len = c->len;
	if (!c->base64)
		return text;
	wire = need(malloc(c->body + 4 + (c->len - c->body + 2) / 3 * 4 + 1));
	memcpy(wire, text, c->body);
	memcpy(wire + c->body, "cdr=", 4);
	n = EVP_EncodeBlock((unsigned char *)wire + c->body + 4,
			    (unsigned char *)text + c->body,
			    (int)(c->len - c->body));
	*len = c->body + 4 + (size_t)n;
	free(text);
	return wire;
}

int64_t
capture_leg(const struct capture *c, const struct capture_change *change,
	    char leg[CAPTURE_UUID_LEN + 1])
{
	const char *p = memmem(c->text, c->body, "?uuid=", 6);
	int64_t start = capture_epoch(c, "start_uepoch");

	*leg = '\0';
	if (p) {
		p += 6;
		if (!strncmp(p, "a_", 2)) /* prefix-a-leg */
			p += 2;
		snprintf(leg, CAPTURE_UUID_LEN + 1, "%.*s",
			 (int)strcspn(p, "& "), p);
		if (change->new_uuids && is_uuid(leg))
			new_uuid(leg, change);
	}
	return start ? start + change->seconds * 1000000 : 0;
}

void
capture_release(struct capture *c)
{
	free(c->text);
	free(c->spots);
	c->text = NULL;
	c->spots = NULL;
}
