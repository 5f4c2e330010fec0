#include "directory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directoryask.h"
#include "fsxml.h"

static void
param(struct fsxml *x, const char *name, const char *value)
{
	fsxml_item(x, "param", name, value);
}

/* What must arrive as it is, and never becomes a variable. */
static void
exact_param(struct fsxml *x, const char *name, const char *value)
{
	if (!value)
		return;
	fsxml_open(x, "param");
	fsxml_name(x, name);
	fsxml_attr(x, "value", value);
	fsxml_close(x);
}

static void
open_named(struct fsxml *x, const char *all, const char *one, const char *name)
{
	fsxml_open(x, all);
	fsxml_open(x, one);
	fsxml_attr(x, !strcmp(one, "user") ? "id" : "name", name);
}

static void
variable(struct fsxml *x, const char *name, const char *value)
{
	fsxml_item(x, "variable", name, value);
}

static void
dial_param(struct fsxml *x, const char *name, const char *value)
{
	fsxml_open(x, "param");
	fsxml_name(x, name);
	fsxml_expanded(x, "value", value);
	fsxml_close(x);
}

/*
 * The name as it was asked: FreeSWITCH looks for it in the answer.  The params
 * are never empty: mod_sofia lets everybody in when it finds none at all.
 */
static void
open_domain(struct fsxml *x, const char *domain, const struct fs_settings *s,
	    bool group)
{
	fsxml_open(x, "domain");
	fsxml_plain(x, "name", domain);
	fsxml_open(x, "params");
	dial_param(x, "dial-string", s->dial_user);
	if (group)
		dial_param(x, "group-dial-string", s->dial_group);
	fsxml_close(x);
}

/* What mod_sofia reads of a user when a phone logs in. */
static void
login_params(struct fsxml *x, const struct directory_user *u)
{
	if (u->ha1)
		param(x, "a1-hash", u->ha1);
	else
		param(x, "allow-empty-password", "false");
	if (u->forbid_register && *u->forbid_register == 't')
		param(x, "sip-forbid-register", "true");
	param(x, "auth-acl", u->auth_acl);
	param(x, "user-agent-filter", u->user_agent_filter);
	param(x, "max-registrations-per-extension", u->max_registrations);
	param(x, "reverse-auth-user", u->reverse_auth_user);
	exact_param(x, "reverse-auth-pass", u->reverse_auth_pass);
}

/*
 * mod_voicemail hands the address to a shell, with the mailer's command line:
 * only what no shell takes for its own gets there.
 */
static bool
can_be_mailed_to(const char *address)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t n;

	for (const char *p = address; *p; p++)
		if (!strchr(letters, *p) && !strchr("@._+-", *p))
			return false;
	n = strspn(address, letters);
	return n > 0 && strchr(address, '@');
}

/* What mod_voicemail reads; a box without an address mails nothing. */
static void
voicemail_params(struct fsxml *x, const struct directory_user *u)
{
	if (!u->box)
		return;
	param(x, "vm-enabled", "true");
	exact_param(x, "vm-password", u->pin);
	if (!u->email || !can_be_mailed_to(u->email))
		return;
	param(x, "vm-mailto", u->email);
	param(x, "vm-email-all-messages", "true");
	param(x, "vm-attach-file", "true");
	param(x, "vm-keep-local-after-email",
	      u->keep && *u->keep == 't' ? "true" : "false");
}

static void
variables(struct fsxml *x, const struct directory_user *u,
	  const struct fs_settings *s)
{
	fsxml_open(x, "variables");
	variable(x, "user_context",
		 u->user_context ? u->user_context : s->context);
	variable(x, "accountcode", u->accountcode);
	variable(x, "toll_allow", u->toll_allow);
	variable(x, "effective_caller_id_name",
		 u->full_name ? u->full_name : u->caller_id_name);
	variable(x, "effective_caller_id_number",
		 u->number ? u->number : u->username);
	variable(x, "outbound_caller_id_name", u->outbound_name);
	variable(x, "outbound_caller_id_number", u->outbound_number);
	fsxml_close(x);
}

/*
 * A user has no `type`: FreeSWITCH takes a user with any type but "pointer"
 * for whatever user it looks for.  `asked` may be a number of the user; it is
 * then the alias, and the call goes to the name that the phone registered
 * under.
 */
static void
write_user(struct fsxml *x, const char *asked, const struct directory_user *u,
	   const struct fs_settings *s)
{
	const char *alias = asked;
	char dial[FS_DIAL_STRING];
	char milliseconds[24];

	if (!alias || strcmp(alias, u->username) == 0)
		alias = u->number;
	if (alias && strcmp(alias, u->username) == 0)
		alias = NULL;
	fsxml_open(x, "user");
	fsxml_plain(x, "id", u->username);
	if (alias)
		fsxml_plain(x, "number-alias", alias);
	if (asked && s->cacheable_ms > 0) {
		snprintf(milliseconds, sizeof(milliseconds), "%ld",
			 s->cacheable_ms);
		fsxml_attr(x, "cacheable", milliseconds);
	}
	fsxml_open(x, "params");
	if (asked && strcmp(asked, u->username) != 0) {
		fs_dial_string(dial, s, "{", "}", u->username);
		dial_param(x, "dial-string", dial);
	}
	login_params(x, u);
	voicemail_params(x, u);
	fsxml_close(x);
	variables(x, u, s);
	fsxml_close(x);
}

void
directory_user_document(struct buf *out, const char *domain, const char *asked,
			const struct directory_user *u,
			const struct fs_settings *s)
{
	struct fsxml x;

	fsxml_begin(&x, out, "directory");
	open_domain(&x, domain, s, false);
	fsxml_open(&x, "users");
	write_user(&x, asked, u, s);
	fsxml_end(&x);
}

static void
read_user(struct directory_user *u, const struct db_result *r, int row)
{
	int column = 0;

	memset(u, 0, sizeof(*u));
	u->domain = db_value(r, row, column++);
	u->username = db_value(r, row, column++);
	u->number = db_value(r, row, column++);
	u->ha1 = db_value(r, row, column++);
	u->full_name = db_value(r, row, column++);
	u->accountcode = db_value(r, row, column++);
	u->toll_allow = db_value(r, row, column++);
	u->user_context = db_value(r, row, column++);
	u->caller_id_name = db_value(r, row, column++);
	u->caller_id_number = db_value(r, row, column++);
	u->outbound_name = db_value(r, row, column++);
	u->outbound_number = db_value(r, row, column++);
	u->auth_acl = db_value(r, row, column++);
	u->user_agent_filter = db_value(r, row, column++);
	u->max_registrations = db_value(r, row, column++);
	u->forbid_register = db_value(r, row, column++);
	u->reverse_auth_user = db_value(r, row, column++);
	column++; /* reverse_auth_pass, which is sealed */
	if (column >= db_columns(r))
		return;
	u->box = db_value(r, row, column++);
	u->email = db_value(r, row, column++);
	u->keep = db_value(r, row, column);
}

/*
 * The PIN is for mod_voicemail.  Where FreeSWITCH keeps an answer, the first
 * one must do for all of them.
 */
static int
user_answer(struct buf *out, const struct lookup *l, const struct db_result *r,
	    const struct fs_settings *s, struct verr *e)
{
	struct directory_user u;
	struct buf pass = BUF_INIT, pin = BUF_INIT;
	int columns = db_columns(r);

	(void)e;
	read_user(&u, r, 0);
	if (u.reverse_auth_user &&
	    answer_open(&pass, r, 0, columns - 5, "users.reverse_auth_pass",
			u.username, u.domain))
		u.reverse_auth_pass = pass.data;
	if ((l->what == LOOKUP_MAILBOX || s->cacheable_ms > 0) &&
	    answer_open(&pin, r, 0, columns - 1, "voicemail_boxes.pin", u.box,
			u.domain))
		u.pin = pin.data;
	if (!u.username)
		u.username = u.box;
	directory_user_document(out, l->domain, l->user, &u, s);
	answer_wipe(&pass);
	answer_wipe(&pin);
	return 1;
}

static int
domain_answer(struct buf *out, const struct lookup *l,
	      const struct db_result *r, const struct fs_settings *s,
	      struct verr *e)
{
	struct fsxml x;

	(void)r;
	(void)e;
	fsxml_begin(&x, out, "directory");
	open_domain(&x, l->domain, s, false);
	fsxml_end(&x);
	return 1;
}

static int
group_answer(struct buf *out, const struct lookup *l, const struct db_result *r,
	     const struct fs_settings *s, struct verr *e)
{
	struct directory_user u;
	struct fsxml x;

	(void)e;
	fsxml_begin(&x, out, "directory");
	open_domain(&x, l->domain, s, true);
	fsxml_open(&x, "groups");
	fsxml_open(&x, "group");
	fsxml_attr(&x, "name", l->group);
	fsxml_open(&x, "users");
	for (int row = 0; row < db_rows(r); row++) {
		read_user(&u, r, row);
		if (u.username)
			write_user(&x, NULL, &u, s);
	}
	fsxml_end(&x);
	return 1;
}

static int
networks_answer(struct buf *out, const struct lookup *l,
		const struct db_result *r, const struct fs_settings *s,
		struct verr *e)
{
	struct fsxml x;

	(void)e;
	fsxml_begin(&x, out, "directory");
	open_domain(&x, l->domain, s, false);
	fsxml_open(&x, "users");
	for (int row = 0; row < db_rows(r); row++) {
		const char *username = db_value(r, row, 0);
		const char *network = db_value(r, row, 1);

		if (!username || !network)
			continue;
		fsxml_open(&x, "user");
		fsxml_plain(&x, "id", username);
		fsxml_attr(&x, "cidr", network);
		fsxml_close(&x);
	}
	fsxml_end(&x);
	return 1;
}

static void
write_gateway(struct fsxml *x, const struct db_result *r, int row)
{
	const char *name = db_value(r, row, 1), *host = db_value(r, row, 2);
	const char *username = db_value(r, row, 4);
	struct buf pass = BUF_INIT, proxy = BUF_INIT;
	bool v6 = strchr(host, ':') && *host != '[';

	buf_printf(&proxy, v6 ? "[%s]:%s" : "%s:%s", host, db_value(r, row, 3));
	fsxml_open(x, "gateway");
	fsxml_plain(x, "name", name);
	exact_param(x, "username", username);
	if (answer_open(&pass, r, row, 6, "trunks.password", name, NULL))
		exact_param(x, "password", pass.data);
	param(x, "proxy", proxy.data);
	param(x, "register", db_is_true(r, row, 5) ? "true" : "false");
	fsxml_close(x);
	answer_wipe(&pass);
	buf_release(&proxy);
}

/*
 * mod_sofia finds gateways in a user of a group, and in no other user of a
 * domain; the domains are those that a profile may take over.
 */
static int
gateways_answer(struct buf *out, const struct lookup *l,
		const struct db_result *r, const struct fs_settings *s,
		struct verr *e)
{
	const char *domain, *last = NULL;
	struct fsxml x;

	(void)s;
	(void)e;
	fsxml_begin(&x, out, "directory");
	for (int row = 0; row < db_rows(r); row++, last = domain) {
		domain = db_value(r, row, 0);
		if (!last || strcmp(domain, last) != 0) {
			fsxml_close_to(&x, 2);
			fsxml_open(&x, "domain");
			fsxml_plain(&x, "name",
				    *l->domain ? l->domain : domain);
			if (db_value(r, row, 1)) {
				open_named(&x, "groups", "group", "trunks");
				open_named(&x, "users", "user", "trunks");
				fsxml_open(&x, "gateways");
			}
		}
		if (db_value(r, row, 1))
			write_gateway(&x, r, row);
	}
	fsxml_end(&x);
	return 1;
}

/*
 * A tenant as a static file: the users with all that any lookup would say of
 * them, and the groups, which point to them.
 */
static void
write_whole_user(struct fsxml *x, const struct db_result *r, int row,
		 const struct fs_settings *s)
{
	struct directory_user u;
	struct buf pass = BUF_INIT, pin = BUF_INIT;
	int columns = db_columns(r);

	read_user(&u, r, row);
	if (u.reverse_auth_user &&
	    answer_open(&pass, r, row, columns - 6, "users.reverse_auth_pass",
			u.username, u.domain))
		u.reverse_auth_pass = pass.data;
	if (answer_open(&pin, r, row, columns - 2, "voicemail_boxes.pin", u.box,
			u.domain))
		u.pin = pin.data;
	if (!u.username)
		u.username = u.box;
	write_user(x, NULL, &u, s);
	answer_wipe(&pass);
	answer_wipe(&pin);
}

static int
whole_answer(struct buf *out, const struct lookup *l, const struct db_result *r,
	     const struct fs_settings *s, struct verr *e)
{
	const char *group, *last = "";
	struct fsxml x;

	(void)e;
	fsxml_begin_part(&x, out);
	open_domain(&x, l->domain, s, true);
	fsxml_open(&x, "groups");
	fsxml_open(&x, "group");
	fsxml_attr(&x, "name", "all users");
	fsxml_open(&x, "users");
	for (int row = 0; row < db_rows(r); row++, last = group) {
		group = db_value(r, row, db_columns(r) - 1);
		if (!group) {
			group = "";
			write_whole_user(&x, r, row, s);
			continue;
		}
		if (strcmp(group, last) != 0) {
			fsxml_close_to(&x, 2);
			fsxml_open(&x, "group");
			fsxml_attr(&x, "name", group);
			fsxml_open(&x, "users");
		}
		fsxml_open(&x, "user");
		fsxml_plain(&x, "id", db_value(r, row, 1));
		fsxml_attr(&x, "type", "pointer");
		fsxml_close(&x);
	}
	fsxml_close_to(&x, 0);
	return 1;
}

const struct answer directory_whole = { .sql = directoryask_sql_whole,
					.ask = directoryask_domain,
					.build = whole_answer };
const struct answer directory_user = { .sql = directoryask_sql_user,
				       .ask = directoryask_user,
				       .build = user_answer,
				       .sql_many = directoryask_sql_users };
const struct answer directory_mailbox = { .sql = directoryask_sql_mailbox,
					  .ask = directoryask_user,
					  .build = user_answer };
const struct answer directory_domain = { .sql = directoryask_sql_domain,
					 .ask = directoryask_domain,
					 .build = domain_answer };
const struct answer directory_group = { .sql = directoryask_sql_group,
					.ask = directoryask_group,
					.build = group_answer };
const struct answer directory_networks = { .sql = directoryask_sql_networks,
					   .ask = directoryask_domain,
					   .build = networks_answer };
const struct answer directory_gateways = { .sql = directoryask_sql_gateways,
					   .ask = directoryask_gateways,
					   .build = gateways_answer };
