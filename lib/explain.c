#include "explain.h"

#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "directoryask.h"
#include "dirxml.h"

/*
 * By the beginning of the element.  With a column, the first source holds when
 * the answer to directoryask_sql_sources has true there, else the second.
 */
static const struct {
	const char *element;
	const char *column;
	const char *source;
	const char *otherwise;
} sources[] = {
	{ "<domain name=", NULL, "as it was asked; domains.domain", NULL },
	{ "<user id=", "by_name", "users.username",
	  "users.username, of extensions.user for the number" },
	{ "<param name=\"dial-string\"", NULL, "settings registrar and proxy",
	  NULL },
	{ "<param name=\"a1-hash\"", NULL, "users.ha1", NULL },
	{ "<param name=\"allow-empty-password\"", NULL,
	  "users.ha1, which is not set", NULL },
	{ "<param name=\"sip-forbid-register\"", NULL, "users.forbid_register",
	  NULL },
	{ "<param name=\"auth-acl\"", "auth_acl", "users.auth_acl",
	  "domains.auth_acl" },
	{ "<param name=\"user-agent-filter\"", "user_agent_filter",
	  "users.user_agent_filter", "domains.user_agent_filter" },
	{ "<param name=\"max-registrations-per-extension\"",
	  "max_registrations", "users.max_registrations",
	  "domains.max_registrations" },
	{ "<param name=\"reverse-auth-user\"", NULL, "users.reverse_auth_user",
	  NULL },
	{ "<param name=\"reverse-auth-pass\"", NULL,
	  "users.reverse_auth_pass, sealed there", NULL },
	{ "<param name=\"vm-password\"", NULL,
	  "voicemail_boxes.pin, sealed there", NULL },
	{ "<param name=\"vm-enabled\"", NULL, "voicemail_boxes.number", NULL },
	{ "<param name=\"vm-keep-local-after-email\"", NULL,
	  "voicemail_boxes.keep", NULL },
	{ "<param name=\"vm-", NULL, "voicemail_boxes.email", NULL },
	{ "<variable name=\"user_context\"", "user_context",
	  "users.user_context", "setting user_context" },
	{ "<variable name=\"accountcode\"", NULL, "users.accountcode", NULL },
	{ "<variable name=\"toll_allow\"", NULL, "users.toll_allow", NULL },
	{ "<variable name=\"effective_caller_id_name\"", "full_name",
	  "users.full_name", "users.caller_id_name" },
	{ "<variable name=\"effective_caller_id_number\"", "number",
	  "extensions.extension", "users.username" },
	{ "<variable name=\"outbound_caller_id_name\"", "caller_id_name",
	  "users.caller_id_name", "domains.caller_id_name" },
	{ "<variable name=\"outbound_caller_id_number\"", "caller_id_number",
	  "users.caller_id_number", "domains.caller_id_number" },
};

static void
put_source(struct buf *out, const char *element, const struct db_result *r)
{
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		const char *column = sources[i].column;
		const char *source = sources[i].source, *is_own;

		if (strncmp(element, sources[i].element,
			    strlen(sources[i].element)) != 0)
			continue;
		is_own = column && db_rows(r) ? db_field(r, 0, column) : "t";
		if (!is_own || *is_own != 't')
			source = sources[i].otherwise;
		buf_printf(out, "  <!-- %s -->", source);
		return;
	}
}

/* Each element has a line of its own (fsxml.h). */
static void
put_lines(struct buf *out, const char *document, const struct db_result *r)
{
	while (*document) {
		size_t len = strcspn(document, "\n");

		buf_add(out, document, len);
		put_source(out, document + strspn(document, " "), r);
		buf_putc(out, '\n');
		document += len + (document[len] == '\n');
	}
}

static int
annotate(struct buf *out, const char *document, const char *user,
	 struct verr *e)
{
	struct db_options options = { .role = "voip_dirxml",
				      .retry = DB_RETRY_INTERACTIVE };
	const char *at = strrchr(user, '@');
	char *name = strndup(user, (size_t)(at - user));
	struct db_param params[] = { DB_TEXT(at + 1), DB_TEXT(name) };
	struct db *db = name ? db_new(&options, e) : NULL;
	struct db_result *r = NULL;
	int rc = -1;

	if (!name)
		verr_set(e, VERR_RETRY, "out of memory");
	if (db &&
	    db_query(db, &r, directoryask_sql_sources, 2, params, e) == 0) {
		put_lines(out, document, r);
		rc = 1;
	}
	db_result_free(r);
	db_free(db);
	free(name);
	return rc;
}

int
explain_user(struct buf *out, const struct buf *form, const char *user,
	     struct verr *e)
{
	struct buf document = BUF_INIT;
	int rc = dirxml_ask(&document, form->data, form->len, e);

	if (rc == 1)
		rc = annotate(out, document.data, user, e);
	else if (rc == 0)
		buf_add(out, document.data, document.len);
	if (rc != -1 && (buf_failed(out) || buf_failed(&document)))
		rc = verr_set(e, VERR_RETRY, "out of memory");
	buf_release(&document);
	return rc;
}
