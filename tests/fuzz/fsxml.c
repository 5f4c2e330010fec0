/*
 * Any bytes as the columns of a user: the document passes FreeSWITCH's
 * pre-processor unharmed, libxml2 finds it well-formed, there is one user in
 * it, and each value comes back as utf8_repair() and the rule for ${} have it.
 */

#include <libxml/parser.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/fsmodel.h"
#include "directory.h"
#include "utf8.h"

static void
must(bool ok)
{
	if (!ok)
		abort();
}

/* The document's one element of that name; must not be there twice. */
static xmlNode *
only(xmlNode *node, const char *name)
{
	xmlNode *found = NULL, *deeper;

	for (; node; node = node->next) {
		if (node->type != XML_ELEMENT_NODE)
			continue;
		deeper = strcmp((const char *)node->name, name) == 0
				 ? node
				 : only(node->children, name);
		must(!found || !deeper);
		if (deeper)
			found = deeper;
	}
	return found;
}

static xmlChar *
value_of(xmlNode *list, const char *name)
{
	xmlChar *found = NULL;

	for (xmlNode *n = list->children; n; n = n->next) {
		xmlChar *attribute;

		if (n->type != XML_ELEMENT_NODE)
			continue;
		attribute = xmlGetProp(n, (const xmlChar *)"name");
		must(attribute != NULL);
		if (strcmp((char *)attribute, name) == 0) {
			must(!found);
			found = xmlGetProp(n, (const xmlChar *)"value");
		}
		xmlFree(attribute);
	}
	return found;
}

/* "${}" may stay, unless a "{" moves up behind its "$". */
static bool
names_nothing(const char *s)
{
	return strncmp(s, "${}", 3) == 0 && s[3 + strspn(s + 3, "\\")] != '{';
}

/* Without what XML cannot hold, and with ${ made harmless. */
static void
expect(struct buf *out, const char *value, bool plain)
{
	struct buf b = BUF_INIT;

	utf8_repair(&b, value, strlen(value));
	for (size_t i = 0; i < b.len; i++) {
		const char *s = b.data + i;
		size_t slashes = 1 + strspn(s + 1, "\\");

		if ((unsigned char)*s < 0x20 && !strchr("\t\r\n", *s)) {
			buf_puts(out, "\xef\xbf\xbd");
		} else if (strncmp(s, "\xef\xbf\xbe", 3) == 0 ||
			   strncmp(s, "\xef\xbf\xbf", 3) == 0) {
			buf_puts(out, "\xef\xbf\xbd");
			i += 2;
		} else if (plain && *s == '$' && s[slashes] == '{' &&
			   !names_nothing(s)) {
			buf_putc(out, '%');
		} else {
			buf_putc(out, *s);
		}
	}
	buf_release(&b);
}

static void
check_value(xmlChar *got, const char *value, bool plain)
{
	struct buf want = BUF_INIT;

	must(got != NULL);
	expect(&want, value, plain);
	must(strcmp((char *)got, want.data) == 0);
	for (const char *s = plain ? strstr((char *)got, "${") : NULL; s;
	     s = strstr(s + 2, "${"))
		must(names_nothing(s));
	buf_release(&want);
	xmlFree(got);
}

static void
check(const struct buf *document, const struct directory_user *u)
{
	struct buf seen = BUF_INIT;
	struct fsmodel m;
	xmlNode *user, *root;
	xmlDoc *doc;

	must(!buf_failed(document));
	m = fsmodel_preprocess(&seen, document->data, document->len);
	must(fsmodel_is_safe(&m));
	doc = xmlReadMemory(seen.data, (int)seen.len, NULL, NULL,
			    XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
				    XML_PARSE_HUGE);
	must(doc != NULL);
	root = xmlDocGetRootElement(doc);
	user = only(root, "user");
	must(user != NULL && only(root, "domain") != NULL);
	check_value(xmlGetProp(user, (const xmlChar *)"id"), u->username, true);
	check_value(
		value_of(only(user->children, "params"), "reverse-auth-pass"),
		u->reverse_auth_pass, false);
	check_value(value_of(only(user->children, "variables"),
			     "effective_caller_id_name"),
		    u->full_name, true);
	check_value(value_of(only(user->children, "variables"), "accountcode"),
		    u->accountcode, true);
	xmlFreeDoc(doc);
	buf_release(&seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte splits the rest into two values. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fs_settings settings;
	struct directory_user u = { .ha1 = "0123", .username = "1001" };
	struct buf out = BUF_INIT;
	struct verr e = VERR_INIT;
	char *first, *second;
	size_t cut;

	if (size < 2)
		return 0;
	must(fs_settings_set(&settings, data[0] & 1, "127.0.0.1:5060",
			     "default", data[0] & 2, &e) == 0);
	cut = data[0] % size;
	first = strndup((const char *)data + 1, cut);
	second = strndup((const char *)data + 1 + cut, size - 1 - cut);
	must(first && second);
	if (data[0] & 4)
		u.username = first;
	u.full_name = first;
	u.reverse_auth_pass = first;
	u.accountcode = second;
	/* A name that is no user name cannot be an alias' target. */
	directory_user_document(&out, "pbx.example.com", u.username, &u,
				&settings);
	check(&out, &u);
	buf_release(&out);
	free(first);
	free(second);
	return 0;
}
