#include "lookup.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "utf8.h"

/* What SQL holds at most: voip.is_domain(), is_username() and is_text(). */
#define DOMAIN_MAX  253
#define USER_MAX    64
#define CONTEXT_MAX 64
#define TEXT_MAX    512

/* Which fields tell the question apart, when `action` alone does not. */
enum needs {
	NEEDS_NOTHING,
	NEEDS_DOMAIN,
	NEEDS_USER,       /* and a domain */
	NEEDS_GROUP,      /* and a domain, and no user */
	NEEDS_NAME,       /* and a domain */
	NEEDS_ALL_OR_ONE, /* with a name: and a domain */
	NEEDS_NUMBER,     /* and a context */
};

/*
 * Every question, in order: the first row that fits is taken.  NULL: any; "":
 * none may be given.  Because FreeSWITCH keeps one answer of a user for every
 * later question (cacheable), all questions about a user have the same one.
 */
/* clang-format off */
static const struct question_row {
	const char *section;
	const char *action;
	const char *purpose;
	const char *key; /* key_value: of a configuration, the file */
	enum needs needs;
	enum lookup_what what;
	enum metric counter;
} rows[] = {
#define COUNTER(id) METRIC_LOOKUP_##id##_FOUND
#define DIRECTORY(action, purpose, needs, what, counter) \
	{ "directory", action, purpose, NULL, NEEDS_##needs, \
	  LOOKUP_##what, COUNTER(counter) }
	DIRECTORY("sip_auth", NULL, USER, USER, SIP_AUTH),
	DIRECTORY("user_call", NULL, USER, USER, USER_CALL),
	DIRECTORY("message-count", NULL, USER, USER, MESSAGE_COUNT),
	DIRECTORY("voicemail-lookup", NULL, USER, MAILBOX, VOICEMAIL),
	DIRECTORY("reverse-auth-lookup", NULL, USER, USER, REVERSE_AUTH),
	DIRECTORY("group_call", NULL, GROUP, GROUP, GROUP_CALL),
	DIRECTORY("group_call", NULL, USER, USER, GROUP_CALL),
	DIRECTORY("", "network-list", DOMAIN, NETWORKS, NETWORK_LIST),
	DIRECTORY("", "gateways", NOTHING, GATEWAYS, GATEWAYS),
	DIRECTORY("", "publish-vm", USER, MAILBOX, PUBLISH_VM),
	DIRECTORY("", "", USER, USER, PLAIN),
	DIRECTORY("", "", GROUP, GROUP, PLAIN),
	DIRECTORY("", "", DOMAIN, DOMAIN, PLAIN),
#define CONFIGURATION(file, needs, what, counter) \
	{ "configuration", NULL, NULL, file, NEEDS_##needs, \
	  LOOKUP_##what, COUNTER(counter) }
	CONFIGURATION("callcenter.conf", ALL_OR_ONE, CALLCENTER, CALLCENTER),
	CONFIGURATION("ivr.conf", NAME, IVR, IVR),
	CONFIGURATION("conference.conf", NAME, CONFERENCE, CONFERENCE),
	CONFIGURATION("acl.conf", NOTHING, ACL, ACL),
	CONFIGURATION(NULL, NOTHING, UNKNOWN, CONFIGURATION),
	{ "dialplan", NULL, NULL, NULL, NEEDS_NUMBER, LOOKUP_DIALPLAN,
	  COUNTER(DIALPLAN) },
	{ "dialplan", NULL, NULL, NULL, NEEDS_NOTHING, LOOKUP_UNKNOWN,
	  COUNTER(DIALPLAN) },
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

bool
lookup_is_domain(const char *name)
{
	return is_word(name, DOMAIN_MAX, "-.");
}

bool
lookup_is_user(const char *name)
{
	return is_word(name, USER_MAX, "_.+*#-");
}

static bool
is_text(const char *s)
{
	return strlen(s) <= TEXT_MAX && utf8_valid(s, strlen(s));
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
	       is_word(l->user, USER_MAX, "_.+*#-") && is_text(l->group) &&
	       is_text(l->name) && is_text(l->profile) &&
	       is_text(l->call.number) && is_text(l->call.context);
}

static bool
has_needs(const struct lookup *l, enum needs needs)
{
	switch (needs) {
	case NEEDS_NOTHING:
		return true;
	case NEEDS_DOMAIN:
		return *l->domain;
	case NEEDS_USER:
		return *l->domain && *l->user;
	case NEEDS_GROUP:
		return *l->domain && *l->group && !*l->user;
	case NEEDS_NAME:
		return *l->domain && *l->name;
	case NEEDS_ALL_OR_ONE:
		return !*l->domain == !*l->name;
	case NEEDS_NUMBER:
		return *l->call.number && *l->call.context;
	}
	return false;
}

static bool
same(const char *wanted, const char *given)
{
	return !wanted || strcmp(wanted, given) == 0;
}

static void
choose(struct lookup *l, const char *action, const char *purpose,
       const char *key)
{
	l->counter = COUNTER(OTHER);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct question_row *row = &rows[i];

		if (!same(row->section, l->section) ||
		    !same(row->action, action) ||
		    !same(row->purpose, purpose) || !same(row->key, key) ||
		    !has_needs(l, row->needs))
			continue;
		l->counter = row->counter;
		if (can_exist(l))
			l->what = row->what;
		return;
	}
}

/* tag_name and key_name are the code's own words: anything else is not ours. */
static bool
asks_by(const struct form *f, const char *tag)
{
	const struct form_pair *asked = form_first(f, "tag_name");
	const struct form_pair *key = form_first(f, "key_name");

	return (!asked || !*asked->value || strcmp(asked->value, tag) == 0) &&
	       (!key || !*key->value || strcmp(key->value, "name") == 0);
}

static void
read_directory(struct lookup *l)
{
	const struct form *f = &l->form;
	const char *action, *purpose, *key, *domain, *group;
	bool valid = true;

	action = or_empty(value_of(form_last(f, "action"), &valid));
	purpose = or_empty(value_of(form_last(f, "purpose"), &valid));
	key = value_of(form_first(f, "key_value"), &valid);
	domain = value_of(form_last(f, "domain"), &valid);
	l->user = or_empty(value_of(form_last(f, "user"), &valid));
	group = value_of(form_last(f, "group"), &valid);
	if (!group)
		group = value_of(form_last(f, "group_name"), &valid);
	l->group = or_empty(group);
	l->profile = or_empty(value_of(form_last(f, "profile"), &valid));
	l->domain = or_empty(key && *key ? key : domain);
	l->action = *action ? action : purpose;
	choose(l, action, purpose, "");
	if (!valid || !asks_by(f, "domain"))
		l->refused = "not a lookup that FreeSWITCH makes";
	else if (domain && key && strcasecmp(domain, key) != 0)
		l->refused = "domain and key_value differ";
}

/* "support@pbx.example.com" in its parts; without "@" it is nobody's. */
static void
split_name(struct lookup *l, const char *name, char sign)
{
	const char *at = name ? strrchr(name, sign) : NULL;

	if (!at) {
		l->name = or_empty(name);
		return;
	}
	buf_add(&l->text, name, strlen(name) + 1);
	if (buf_failed(&l->text))
		return;
	l->text.data[at - name] = '\0';
	l->name = l->text.data;
	l->domain = l->text.data + (at - name) + 1;
}

/* Which field of the form names one thing of a file. */
static const struct {
	const char *file;
	const char *field;
	char at;
} name_fields[] = {
	{ "callcenter.conf", "CC-Queue", '@' },
	{ "ivr.conf", "Menu-Name", '@' },
	{ "conference.conf", "profile_name", '_' },
};

static void
read_configuration(struct lookup *l)
{
	const struct form *f = &l->form;
	const char *file;
	bool valid = true;

	file = or_empty(value_of(form_first(f, "key_value"), &valid));
	l->profile = or_empty(value_of(form_last(f, "profile"), &valid));
	for (size_t i = 0; i < sizeof(name_fields) / sizeof(name_fields[0]);
	     i++) {
		if (strcmp(file, name_fields[i].file) != 0)
			continue;
		split_name(l,
			   value_of(form_last(f, name_fields[i].field), &valid),
			   name_fields[i].at);
	}
	l->action = file;
	choose(l, "", "", file);
	if (!valid || !asks_by(f, "configuration"))
		l->refused = "not a lookup that FreeSWITCH makes";
}

/* The fields of struct lookup_call, and the field that counts without them. */
static const struct {
	size_t place;
	const char *field;
	const char *otherwise;
} call_fields[] = {
#define CALL(member, field, otherwise)                                 \
	{                                                              \
		offsetof(struct lookup_call, member), field, otherwise \
	}
	CALL(number, "Hunt-Destination-Number", "Caller-Destination-Number"),
	CALL(context, "Hunt-Context", "Caller-Context"),
	CALL(network, "Hunt-Network-Addr", "Caller-Network-Addr"),
	CALL(request_number, "variable_sip_req_user", NULL),
	CALL(transfer, "Hunt-Transfer-Source", "Caller-Transfer-Source"),
	CALL(direction, "variable_direction", NULL),
	CALL(call_direction, "variable_call_direction", NULL),
	CALL(header_domain, "variable_sip_h_X-VOIP-DOMAIN", NULL),
	CALL(header_caller, "variable_sip_h_X-VOIP-CALLER", NULL),
	CALL(header_service, "variable_sip_h_X-VOIP-SERVICE", NULL),
	CALL(domain_name, "variable_domain_name", NULL),
	CALL(user_name, "variable_user_name", "variable_sip_auth_username"),
	CALL(dialed_domain, "variable_dialed_domain", NULL),
	CALL(dialed_user, "variable_dialed_user", NULL),
	CALL(from_host, "variable_sip_from_host", NULL),
	CALL(authorized, "variable_sip_authorized", NULL),
};

static void
clear_call(struct lookup_call *call)
{
	for (size_t i = 0; i < sizeof(call_fields) / sizeof(call_fields[0]);
	     i++)
		*(const char **)((char *)call + call_fields[i].place) = "";
}

static void
read_dialplan(struct lookup *l)
{
	const struct form *f = &l->form;
	bool valid = true;

	for (size_t i = 0; i < sizeof(call_fields) / sizeof(call_fields[0]);
	     i++) {
		const char **to = (const char **)((char *)&l->call +
						  call_fields[i].place);
		const struct form_pair *pair =
			form_last(f, call_fields[i].field);

		if (!pair && call_fields[i].otherwise)
			pair = form_last(f, call_fields[i].otherwise);
		*to = or_empty(value_of(pair, &valid));
	}
	l->action = l->call.number;
	choose(l, "", "", "");
	if (!valid)
		l->refused = "not a lookup that FreeSWITCH makes";
}

void
lookup_init(struct lookup *l)
{
	memset(l, 0, sizeof(*l));
	l->text = BUF_INIT;
	l->section = l->action = l->domain = l->user = l->group = "";
	l->profile = l->name = "";
	clear_call(&l->call);
	l->counter = COUNTER(OTHER);
}

int
lookup_parse(struct lookup *l, const char *section, const char *data,
	     size_t len, struct verr *e)
{
	const struct form_pair *pair;

	lookup_init(l);
	l->section = or_empty(section);
	if (form_parse(&l->form, data, len, LOOKUP_FIELDS_MAX, e) == -1)
		return -1;
	pair = form_first(&l->form, "section");
	if (pair)
		l->section = pair->value;
	if (!l->form.count || !*l->section)
		return verr_set(e, VERR_INPUT,
				"not a lookup: the form has no section");
	if (strcmp(l->section, "directory") == 0)
		read_directory(l);
	else if (strcmp(l->section, "configuration") == 0)
		read_configuration(l);
	else if (strcmp(l->section, "dialplan") == 0)
		read_dialplan(l);
	else
		choose(l, "", "", "");
	if (l->refused)
		l->what = LOOKUP_UNKNOWN;
	if (buf_failed(&l->text))
		return verr_set(e, VERR_RETRY, "out of memory for a lookup");
	return 0;
}

void
lookup_release(struct lookup *l)
{
	form_release(&l->form);
	buf_release(&l->text);
}

void
lookup_put_name(struct buf *out, const char *name, char at, const char *domain)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;
		const char one[2] = { *name, '\0' };

		if (is_word(one, 1, "_.-")) {
			buf_putc(out, *name);
		} else {
			buf_putc(out, '%');
			buf_putc(out, hex[c >> 4]);
			buf_putc(out, hex[c & 15]);
		}
	}
	buf_putc(out, at);
	buf_puts(out, domain);
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
