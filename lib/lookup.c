#include "lookup.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "utf8.h"

/* What SQL holds at most: voip.is_domain(), is_username() and is_text(). */
#define DOMAIN_MAX 253
#define USER_MAX   64
#define GROUP_MAX  512

/* Which fields tell the question apart, when `action` alone does not. */
enum needs {
	NEEDS_NOTHING,
	NEEDS_DOMAIN,
	NEEDS_USER,  /* and a domain */
	NEEDS_GROUP, /* and a domain, and no user */
};

/*
 * Every question, in order: the first row that fits is taken.  `action` and
 * `purpose` NULL: any; "": none may be given.  Because FreeSWITCH keeps one
 * answer of a user for every later question (cacheable), all questions about a
 * user have the same one.
 */
/* clang-format off */
static const struct question {
	const char *section;
	const char *action;
	const char *purpose;
	enum needs needs;
	enum lookup_what what;
	enum metric counter;
} questions[] = {
#define COUNTER(id) METRIC_LOOKUP_##id##_FOUND
	{ "directory", "sip_auth", NULL, NEEDS_USER, LOOKUP_USER, COUNTER(SIP_AUTH) },
	{ "directory", "user_call", NULL, NEEDS_USER, LOOKUP_USER, COUNTER(USER_CALL) },
	{ "directory", "message-count", NULL, NEEDS_USER, LOOKUP_USER, COUNTER(MESSAGE_COUNT) },
	{ "directory", "voicemail-lookup", NULL, NEEDS_USER, LOOKUP_USER, COUNTER(VOICEMAIL) },
	{ "directory", "reverse-auth-lookup", NULL, NEEDS_USER, LOOKUP_USER, COUNTER(REVERSE_AUTH) },
	{ "directory", "group_call", NULL, NEEDS_GROUP, LOOKUP_GROUP, COUNTER(GROUP_CALL) },
	{ "directory", "group_call", NULL, NEEDS_USER, LOOKUP_USER, COUNTER(GROUP_CALL) },
	{ "directory", "", "network-list", NEEDS_DOMAIN, LOOKUP_NETWORKS, COUNTER(NETWORK_LIST) },
	{ "directory", "", "gateways", NEEDS_NOTHING, LOOKUP_GATEWAYS, COUNTER(GATEWAYS) },
	{ "directory", "", "publish-vm", NEEDS_USER, LOOKUP_USER, COUNTER(PUBLISH_VM) },
	{ "directory", "", "", NEEDS_USER, LOOKUP_USER, COUNTER(PLAIN) },
	{ "directory", "", "", NEEDS_GROUP, LOOKUP_GROUP, COUNTER(PLAIN) },
	{ "directory", "", "", NEEDS_DOMAIN, LOOKUP_DOMAIN, COUNTER(PLAIN) },
	{ "configuration", NULL, NULL, NEEDS_NOTHING, LOOKUP_UNKNOWN, COUNTER(CONFIGURATION) },
	{ "dialplan", NULL, NULL, NEEDS_NOTHING, LOOKUP_UNKNOWN, COUNTER(DIALPLAN) },
};
/* clang-format on */

/* The value, or NULL when the form has none; `valid` turns false when no
 * database row can have it: a NUL inside. */
static const char *
value_of(const struct form_pair *pair, bool *valid)
{
	if (!pair)
		return NULL;
	if (strlen(pair->value) != pair->value_len)
		*valid = false;
	return pair->value;
}

static const char *
or_empty(const char *s)
{
	return s ? s : "";
}

static bool
is_word(const char *s, size_t max, const char *others)
{
	size_t i;

	for (i = 0; s[i]; i++) {
		char c = s[i];

		if (i == max)
			return false;
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		      (c >= 'A' && c <= 'Z') || strchr(others, c)))
			return false;
	}
	return true;
}

/*
 * No row has such a name, so the answer is known without asking the database,
 * which would call it an error (invalid UTF-8), and whoever tries names gets
 * no further than this.
 */
static bool
can_exist(const struct lookup *l)
{
	return is_word(l->domain, DOMAIN_MAX, "-.") &&
	       is_word(l->user, USER_MAX, "_.+*#-") &&
	       strlen(l->group) <= GROUP_MAX &&
	       utf8_valid(l->group, strlen(l->group));
}

static bool
fits(const struct question *q, const struct lookup *l, const char *action,
     const char *purpose)
{
	if (strcmp(q->section, l->section) != 0 ||
	    (q->action && strcmp(q->action, action) != 0) ||
	    (q->purpose && strcmp(q->purpose, purpose) != 0))
		return false;
	switch (q->needs) {
	case NEEDS_NOTHING:
		return true;
	case NEEDS_DOMAIN:
		return *l->domain;
	case NEEDS_USER:
		return *l->domain && *l->user;
	case NEEDS_GROUP:
		return *l->domain && *l->group && !*l->user;
	}
	return false;
}

static void
choose(struct lookup *l, const char *purpose)
{
	const char *action = l->action;

	l->counter = COUNTER(OTHER);
	if (!*action)
		l->action = purpose;
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		const struct question *q = &questions[i];

		if (!fits(q, l, action, purpose))
			continue;
		l->counter = q->counter;
		if (can_exist(l))
			l->what = q->what;
		return;
	}
}

/* tag_name and key_name are the code's own words: anything else is not ours. */
static bool
asks_by_domain(const struct form *f)
{
	const struct form_pair *tag = form_first(f, "tag_name");
	const struct form_pair *key = form_first(f, "key_name");

	return (!tag || !*tag->value || strcmp(tag->value, "domain") == 0) &&
	       (!key || !*key->value || strcmp(key->value, "name") == 0);
}

static void
read_directory(struct lookup *l)
{
	const struct form *f = &l->form;
	const char *purpose, *key, *domain, *group;
	bool valid = true;

	key = value_of(form_first(f, "key_value"), &valid);
	domain = value_of(form_last(f, "domain"), &valid);
	l->user = or_empty(value_of(form_last(f, "user"), &valid));
	group = value_of(form_last(f, "group"), &valid);
	if (!group)
		group = value_of(form_last(f, "group_name"), &valid);
	l->group = or_empty(group);
	purpose = or_empty(value_of(form_last(f, "purpose"), &valid));
	l->domain = or_empty(key && *key ? key : domain);
	choose(l, purpose);
	if (!valid || !asks_by_domain(f))
		l->refused = "not a lookup that FreeSWITCH makes";
	else if (domain && key && strcasecmp(domain, key) != 0)
		l->refused = "domain and key_value differ";
	if (l->refused)
		l->what = LOOKUP_UNKNOWN;
}

int
lookup_parse(struct lookup *l, const char *section, const char *data,
	     size_t len, struct verr *e)
{
	const struct form_pair *pair;
	bool valid = true;

	memset(l, 0, sizeof(*l));
	l->action = l->domain = l->user = l->group = "";
	l->section = or_empty(section);
	l->counter = COUNTER(OTHER);
	if (form_parse(&l->form, data, len, LOOKUP_FIELDS_MAX, e) == -1)
		return -1;
	pair = form_first(&l->form, "section");
	if (pair)
		l->section = pair->value;
	if (!l->form.count || !*l->section)
		return verr_set(e, VERR_INPUT,
				"not a lookup: the form has no section");
	l->action = or_empty(value_of(form_last(&l->form, "action"), &valid));
	if (strcmp(l->section, "directory") == 0)
		read_directory(l);
	else
		choose(l, "");
	return 0;
}

void
lookup_release(struct lookup *l)
{
	form_release(&l->form);
}

const char *
lookup_result_word(enum lookup_result result)
{
	static const char *const words[] = {
		[LOOKUP_FOUND] = "found",
		[LOOKUP_NOT_FOUND] = "not found",
		[LOOKUP_REFUSED] = "refused",
		[LOOKUP_UNAVAILABLE] = "unavailable",
	};

	return words[result];
}

void
lookup_count(const struct lookup *l, enum lookup_result result)
{
	metric_add(l->counter + result, 1);
}
