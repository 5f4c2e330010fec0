#include "valid.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "utf8.h"

#define DIGITS  "0123456789"
#define LOWER   "abcdefghijklmnopqrstuvwxyz"
#define UPPER   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LETTERS LOWER UPPER

struct valid_shown
valid_show(const char *s)
{
	struct valid_shown shown;
	struct buf b = BUF_INIT;

	utf8_escape(&b, s, strnlen(s, sizeof(shown.text)));
	if (b.len >= sizeof(shown.text))
		snprintf(shown.text, sizeof(shown.text), "%.*s...",
			 (int)sizeof(shown.text) - 4, b.data);
	else
		snprintf(shown.text, sizeof(shown.text), "%s", b.data);
	buf_release(&b);
	return shown;
}

/* The character at s, in quotes, or its byte when it cannot be shown. */
static struct valid_shown
show_char(const char *s)
{
	struct valid_shown shown;
	size_t n = utf8_sequence(s, strnlen(s, 4));

	if (n > 1 || (n == 1 && *s >= 0x20 && *s < 0x7f))
		snprintf(shown.text, sizeof(shown.text), "'%.*s'", (int)n, s);
	else
		snprintf(shown.text, sizeof(shown.text), "byte 0x%02x",
			 (unsigned char)*s);
	return shown;
}

static int
check_length(const char *what, const char *s, size_t max, struct verr *e)
{
	if (*s == '\0')
		return verr_set(e, VERR_INPUT, "%s may not be empty", what);
	if (strlen(s) > max)
		return verr_set(e, VERR_INPUT,
				"%s '%s' is longer than %zu characters", what,
				valid_show(s).text, max);
	return 0;
}

/* Every character of s is one of `allowed`; `rule` says so to people. */
static int
check_characters(const char *what, const char *s, const char *allowed,
		 const char *rule, struct verr *e)
{
	size_t n = strspn(s, allowed);

	if (s[n])
		return verr_set(
			e, VERR_INPUT, "%s is not allowed in %s '%s'\nhint: %s",
			show_char(s + n).text, what, valid_show(s).text, rule);
	return 0;
}

/* UTF-8 without control characters, C1 included, 1 to `max` of them. */
static int
check_text(const char *what, const char *s, size_t max, bool secret,
	   struct verr *e)
{
	size_t len = strlen(s), count = 0, n;
	const char *shown = secret ? "********" : NULL;
	struct valid_shown value = valid_show(s);

	if (!shown)
		shown = value.text;
	if (len == 0)
		return verr_set(e, VERR_INPUT, "%s may not be empty", what);
	for (size_t i = 0; i < len; i += n, count++) {
		unsigned char c = (unsigned char)s[i];

		n = utf8_sequence(s + i, len - i);
		if (n == 0)
			return verr_set(e, VERR_INPUT,
					"%s '%s' is not valid UTF-8", what,
					shown);
		if (c < 0x20 || c == 0x7f ||
		    (c == 0xc2 && (unsigned char)s[i + 1] < 0xa0))
			return verr_set(e, VERR_INPUT,
					"control character at offset %zu in "
					"%s '%s'",
					i, what, shown);
	}
	if (count > max)
		return verr_set(e, VERR_INPUT,
				"%s '%s' is longer than %zu characters", what,
				shown, max);
	return 0;
}

/* RFC 1035 section 2.3.1, with RFC 1123's digits at the start. */
int
valid_domain(const char *s, struct verr *e)
{
	const char *label = s;

	if (check_length("domain", s, 253, e) == -1 ||
	    check_characters("domain", s, LOWER DIGITS "-.",
			     "lower-case letters, digits, '-' and '.'", e))
		return -1;
	for (;;) {
		size_t n = strcspn(label, ".");

		if (n == 0)
			return verr_set(e, VERR_INPUT,
					"empty label in domain '%s'",
					valid_show(s).text);
		if (n > 63)
			return verr_set(e, VERR_INPUT,
					"label '%.*s' in a domain is longer "
					"than 63 characters",
					(int)n, label);
		if (label[0] == '-' || label[n - 1] == '-')
			return verr_set(e, VERR_INPUT,
					"label '%.*s' in domain '%s' starts "
					"or ends with '-'",
					(int)n, label, valid_show(s).text);
		if (!label[n])
			return 0;
		label += n + 1;
	}
}

static int
check_name(const char *what, const char *s, struct verr *e)
{
	if (check_length(what, s, 64, e) == -1)
		return -1;
	return check_characters(what, s, LETTERS DIGITS "_.+*#-",
				"letters, digits and _ . + * # -", e);
}

int
valid_username(const char *s, struct verr *e)
{
	return check_name("username", s, e);
}

/* The class after its '[': its length with the ']', or 0. */
static size_t
pattern_class(const char *s)
{
	size_t n = 0;

	while (s[n] >= '0' && s[n] <= '9') {
		if (s[n + 1] == '-') {
			if (s[n + 2] < s[n] || s[n + 2] > '9')
				return 0;
			n += 2;
		}
		n++;
	}
	return n && s[n] == ']' ? n + 1 : 0;
}

/* What voip.is_pattern() of the schema admits. */
static int
check_pattern(const char *s, struct verr *e)
{
	const char *start = s + (*s == '+'), *p = start;
	size_t n;

	if (!*p)
		return verr_set(e, VERR_INPUT, "pattern '%s' has no digit",
				valid_show(s).text);
	while (*p) {
		if (*p == '[') {
			n = pattern_class(p + 1);
			if (n == 0)
				return verr_set(e, VERR_INPUT,
						"wrong class at offset %zu in "
						"pattern '%s'\n"
						"hint: digits and ascending "
						"ranges, such as [15-7]",
						(size_t)(p - s),
						valid_show(s).text);
			p += n + 1;
		} else if (*p == '.' && !p[1] && p > start) {
			p++;
		} else if (strchr(DIGITS "*#XZN", *p)) {
			p++;
		} else {
			return verr_set(e, VERR_INPUT,
					"%s is not allowed at offset %zu in "
					"pattern '%s'\n"
					"hint: digits, * # X Z N, classes such "
					"as [15-7], and '.' at the end",
					show_char(p).text, (size_t)(p - s),
					valid_show(s).text);
		}
	}
	return 0;
}

int
valid_extension(const char *s, struct verr *e)
{
	if (!strpbrk(s, "[]"))
		return check_name("extension", s, e);
	if (check_length("extension", s, 64, e) == -1)
		return -1;
	return check_pattern(s, e);
}

int
valid_pattern(const char *s, struct verr *e)
{
	if (check_length("pattern", s, 64, e) == -1)
		return -1;
	return check_pattern(s, e);
}

int
valid_text(const char *s, struct verr *e)
{
	return check_text("text", s, 128, false, e);
}

int
valid_password(const char *s, struct verr *e)
{
	return check_text("password", s, 128, true, e);
}

int
valid_email(const char *s, struct verr *e)
{
	const char *at = strchr(s, '@');

	if (check_text("email address", s, 254, false, e) == -1)
		return -1;
	if (strchr(s, ' '))
		return verr_set(e, VERR_INPUT, "space in email address '%s'",
				valid_show(s).text);
	if (!at || at == s || !at[1] || strchr(at + 1, '@'))
		return verr_set(e, VERR_INPUT,
				"email address '%s' is not NAME@DOMAIN",
				valid_show(s).text);
	return 0;
}

int
valid_bool(const char *s, struct verr *e)
{
	static const char *const words[] = {
		"true", "false", "yes", "no", "on", "off", "1", "0", "t", "f",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(s, words[i]) == 0)
			return 0;
	return verr_set(e, VERR_INPUT, "'%s' is neither true nor false",
			valid_show(s).text);
}

int
valid_port(const char *s, struct verr *e)
{
	size_t len = strlen(s);

	if (len == 0 || len > 5 || strspn(s, DIGITS) != len || s[0] == '0' ||
	    atoi(s) > 65535)
		return verr_set(e, VERR_INPUT,
				"'%s' is not a port from 1 to 65535",
				valid_show(s).text);
	return 0;
}

static bool
is_address(const char *s)
{
	struct in6_addr a;
	char inner[INET6_ADDRSTRLEN];
	size_t len = strlen(s);

	if (inet_pton(AF_INET, s, &a) == 1 || inet_pton(AF_INET6, s, &a) == 1)
		return true;
	if (s[0] != '[' || len < 2 || s[len - 1] != ']' ||
	    len - 2 >= sizeof(inner))
		return false;
	snprintf(inner, sizeof(inner), "%.*s", (int)len - 2, s + 1);
	return inet_pton(AF_INET6, inner, &a) == 1;
}

/* Names of hosts may hold capitals and '_' (service records). */
int
valid_host(const char *s, struct verr *e)
{
	size_t len = strlen(s);

	if (check_length("host", s, 253, e) == -1)
		return -1;
	if (is_address(s))
		return 0;
	if (check_characters("host", s, LETTERS DIGITS "_.-",
			     "a name, an IPv4 or an IPv6 address", e) == -1)
		return -1;
	if (strchr(".-", s[0]) || strchr("._-", s[len - 1]))
		return verr_set(e, VERR_INPUT,
				"host '%s' starts or ends with '%c'",
				valid_show(s).text,
				strchr(".-", s[0]) ? s[0] : s[len - 1]);
	return 0;
}

int
valid_uuid(const char *s, struct verr *e)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t i;

	for (i = 0; form[i] && s[i]; i++)
		if (form[i] == '-' ? s[i] != '-'
				   : !strchr(DIGITS "abcdefABCDEF", s[i]))
			break;
	if (form[i] || s[i])
		return verr_set(e, VERR_INPUT, "'%s' is not a UUID",
				valid_show(s).text);
	return 0;
}

/* Bits right of the mask are an error for PostgreSQL's cidr too. */
static int
check_mask(const char *s, const unsigned char *address, int size, long mask,
	   struct verr *e)
{
	for (long bit = mask; bit < size; bit++)
		if (address[bit / 8] & (0x80 >> bit % 8))
			return verr_set(e, VERR_INPUT,
					"network '%s' has bits to the right of "
					"its mask",
					s);
	return 0;
}

int
valid_cidr(const char *s, struct verr *e)
{
	unsigned char address[sizeof(struct in6_addr)];
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(s, '/');
	size_t len = slash ? (size_t)(slash - s) : strlen(s);
	int size = 0;
	long mask;

	if (len < sizeof(host)) {
		snprintf(host, sizeof(host), "%.*s", (int)len, s);
		if (inet_pton(AF_INET, host, address) == 1)
			size = 32;
		else if (inet_pton(AF_INET6, host, address) == 1)
			size = 128;
	}
	if (!size)
		return verr_set(e, VERR_INPUT,
				"'%s' is not an address or network",
				valid_show(s).text);
	if (!slash)
		return 0;
	len = strlen(slash + 1);
	mask = len && len <= 3 && strspn(slash + 1, DIGITS) == len
		       ? atol(slash + 1)
		       : -1;
	if (mask < 0 || mask > size)
		return verr_set(e, VERR_INPUT,
				"the mask of network '%s' is not 0 to %d",
				valid_show(s).text, size);
	return check_mask(s, address, size, mask, e);
}

/* The object that s holds, or NULL. */
static json_t *
json_object_of(const char *s, struct verr *e)
{
	json_error_t error;
	json_t *json = json_loads(s, JSON_REJECT_DUPLICATES, &error);

	if (!json) {
		verr_set(e, VERR_INPUT,
			 "'%s' is not JSON: %s at line %d column %d",
			 valid_show(s).text, error.text, error.line,
			 error.column);
		return NULL;
	}
	if (!json_is_object(json)) {
		verr_set(e, VERR_INPUT, "'%s' is not a JSON object",
			 valid_show(s).text);
		json_decref(json);
		return NULL;
	}
	return json;
}

int
valid_json_object(const char *s, struct verr *e)
{
	json_t *json = json_object_of(s, e);

	json_decref(json);
	return json ? 0 : -1;
}

int
valid_permissions(const char *s, struct verr *e)
{
	json_t *json = json_object_of(s, e), *value;
	const char *name, *word;
	int rc = json ? 0 : -1;

	json_object_foreach (json, name, value) {
		word = json_string_value(value);
		if (!*name || name[strspn(name, LOWER DIGITS "_-")])
			rc = verr_set(e, VERR_INPUT,
				      "'%s' is not the name of a resource\n"
				      "hint: lower-case letters, digits, _ "
				      "and -",
				      valid_show(name).text);
		else if (!word || (strcmp(word, "read") != 0 &&
				   strcmp(word, "write") != 0))
			rc = verr_set(e, VERR_INPUT,
				      "the permission for '%s' is neither "
				      "\"read\" nor \"write\"",
				      valid_show(name).text);
		if (rc == -1)
			break;
	}
	json_decref(json);
	return rc;
}

int
valid_api_key(const char *s, struct verr *e)
{
	size_t len = strlen(s);

	if (len < 32 || len > 128 || strspn(s, LETTERS DIGITS "_.~+/=-") != len)
		return verr_set(e, VERR_INPUT,
				"a key is 32 to 128 letters, digits and "
				"_ . ~ + / = -\nhint: random makes one");
	return 0;
}
