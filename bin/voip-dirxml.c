/* voip-dirxml: what FreeSWITCH asks about its directory, answered. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dirxml.h"
#include "explain.h"
#include "form.h"
#include "fsstatic.h"
#include "lookup.h"
#include "opt.h"
#include "out.h"
#include "service.h"

static struct service_face face;
static char *user;
static char *explained;
static char *group;
static char *domain;
static char *action;
static char *context;
static char *purpose;

static struct poptOption options[] = {
	{ "action", '\0', POPT_ARG_STRING, &action, 0,
	  "ask as FreeSWITCH does for ACTION (sip_auth, user_call, ...)",
	  "ACTION" },
	{ "context", '\0', POPT_ARG_STRING, &context, 0,
	  "of the static dialplan (default: setting user_context)", "CONTEXT" },
	{ "domain", '\0', POPT_ARG_STRING, &domain, 0,
	  "print what FreeSWITCH gets for a domain", "DOMAIN" },
	{ "explain", '\0', POPT_ARG_STRING, &explained, 0,
	  "--user, and where each value came from", "USER@DOMAIN" },
	{ "group", '\0', POPT_ARG_STRING, &group, 0,
	  "print what FreeSWITCH gets for a group", "GROUP@DOMAIN" },
	SERVICE_OPTIONS(face),
	{ "purpose", '\0', POPT_ARG_STRING, &purpose, 0,
	  "ask for PURPOSE (network-list, gateways, publish-vm)", "PURPOSE" },
	{ "user", '\0', POPT_ARG_STRING, &user, 0,
	  "print what FreeSWITCH gets for a user", "USER@DOMAIN" },
	POPT_TABLEEND
};

static void
add_field(struct buf *form, const char *name, const char *value, size_t len)
{
	if (form->len)
		buf_putc(form, '&');
	buf_puts(form, name);
	buf_putc(form, '=');
	form_encode(form, value, len);
}

/* "1001@pbx.example.com" -> user and domain; a domain alone has no "@". */
static int
build_form(struct buf *form, struct verr *e)
{
	const char *name = user ? user : group, *at = NULL;
	const char *where = domain;

	if (name) {
		at = strrchr(name, '@');
		if (!at || at == name || !at[1])
			return verr_set(e, VERR_USAGE, "'%s' is not %s@DOMAIN",
					name, user ? "USER" : "GROUP");
		where = at + 1;
	}
	add_field(form, "section", "directory", strlen("directory"));
	add_field(form, "tag_name", "domain", strlen("domain"));
	add_field(form, "key_name", "name", strlen("name"));
	add_field(form, "key_value", where, strlen(where));
	if (action)
		add_field(form, "action", action, strlen(action));
	if (purpose)
		add_field(form, "purpose", purpose, strlen(purpose));
	if (name)
		add_field(form, user ? "user" : "group", name,
			  (size_t)(at - name));
	add_field(form, "domain", where, strlen(where));
	return 0;
}

static int
read_form(struct buf *form, struct verr *e)
{
	char part[8192];
	ssize_t n;

	if (isatty(STDIN_FILENO))
		return verr_set(e, VERR_USAGE,
				"nothing to do: no socket, no form on standard "
				"input\nhint: give --user USER@DOMAIN to see "
				"an answer, or --listen to serve");
	while ((n = read(STDIN_FILENO, part, sizeof(part))) > 0) {
		if (form->len + (size_t)n > LOOKUP_BODY_MAX)
			return verr_set(e, VERR_INPUT,
					"the form is longer than %d bytes",
					LOOKUP_BODY_MAX);
		buf_add(form, part, (size_t)n);
	}
	if (n == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot read standard input");
	while (form->len && form->data[form->len - 1] == '\n')
		form->data[--form->len] = '\0';
	return 0;
}

static int
filter(int argc, const char **argv, struct verr *e)
{
	struct buf form = BUF_INIT, out = BUF_INIT;
	int rc;

	if (argc > 0) {
		rc = fsstatic_print(&out, argv[0], domain, context, e);
		goto out;
	}
	rc = user || group || domain ? build_form(&form, e)
				     : read_form(&form, e);
	if (rc == 0 && buf_failed(&form))
		rc = verr_set(e, VERR_RETRY, "out of memory");
	if (rc == 0)
		rc = explained ? explain_user(&out, &form, user, e)
			       : dirxml_ask(&out, form.data, form.len, e);
out:
	if (rc != -1)
		out_write(stdout, out.data, out.len);
	if (rc == 0)
		verr_set(e, VERR_NOTFOUND, "not found");
	buf_release(&form);
	buf_release(&out);
	return rc == 1 ? 0 : -1;
}

static int
start(struct loop *loop, void **arg, struct verr *e)
{
	*arg = dirxml_new(loop, e);
	return *arg ? 0 : -1;
}

static void
reload(void *arg)
{
	dirxml_reload(arg);
}

static void
stop(void *arg)
{
	dirxml_free(arg);
}

static int
run(int argc, const char **argv, struct verr *e)
{
	static const struct service service = {
		.routes = dirxml_routes,
		.credentials_setting = "dirxml_credentials",
		.listen_setting = "dirxml_listen",
		.start = start,
		.reload = reload,
		.stop = stop,
		.filter = filter,
	};

	if (argc > 1 || (argc == 1 && (!domain || action || purpose)))
		return verr_set(e, VERR_USAGE,
				argc > 1 ? "unexpected argument '%s'"
					 : "'%s' needs --domain, and neither "
					   "--action nor --purpose",
				argv[argc - 1]);
	if (explained)
		*(user ? &domain : &user) = explained;
	if ((user != NULL) + (group != NULL) + (domain != NULL) > 1)
		return verr_set(e, VERR_USAGE,
				"--user, --group and --domain exclude each "
				"other");
	if ((action || purpose) && !user && !group && !domain)
		return verr_set(e, VERR_USAGE,
				"--action and --purpose need --user, --group "
				"or --domain");
	face.filter = user || group || domain;
	return service_run(&service, &face, argc, argv, e);
}

int
main(int argc, const char **argv)
{
	static const struct opt_program program = {
		.args = "[directory|configuration|dialplan]",
		.summary = "Answer FreeSWITCH's XML lookups from the "
			   "directory.",
		.options = options,
		.run = run,
	};

	return opt_main(argc, argv, &program);
}
