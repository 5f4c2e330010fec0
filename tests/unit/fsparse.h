/*
 * fsparse: what FreeSWITCH finds in a document that its pre-processor has let
 * through (fsmodel.h).
 *
 * The parser is stricter than FreeSWITCH's (switch_xml.c), which forgives: it
 * takes elements, attributes, the five entities and numeric ones, blanks, and
 * nothing else, so a document that a value has changed is no document.  The
 * search is FreeSWITCH's: names of elements and attributes exactly, values
 * with strcasecmp() (switch_xml_find_child), and a user by id or number-alias,
 * or by any type that is not "pointer" (find_user_in_tag, where the
 * attributes are alternatives).
 */
#ifndef FSPARSE_H
#define FSPARSE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FSPARSE_ATTRIBUTES 16
#define FSPARSE_DEPTH      32

struct fsnode {
	char *name;
	char *attribute[FSPARSE_ATTRIBUTES][2];
	unsigned attributes;
	struct fsnode *child, *next;
};

static inline void
fsnode_free(struct fsnode *n)
{
	while (n) {
		struct fsnode *next = n->next;

		for (unsigned i = 0; i < n->attributes; i++) {
			free(n->attribute[i][0]);
			free(n->attribute[i][1]);
		}
		fsnode_free(n->child);
		free(n->name);
		free(n);
		n = next;
	}
}

static inline void *
fsparse_have(void *p)
{
	if (!p)
		abort();
	return p;
}

static inline void
fsparse_blanks(const char **s)
{
	*s += strspn(*s, " \t\r\n");
}

/* A name of ours: FreeSWITCH's elements and attributes have no other signs. */
static inline char *
fsparse_name(const char **s)
{
	size_t len = strspn(*s, "abcdefghijklmnopqrstuvwxyz-");
	char *name;

	if (!len)
		return NULL;
	name = fsparse_have(strndup(*s, len));
	*s += len;
	return name;
}

static inline char *
fsparse_utf8(char *to, unsigned long c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* `s` is after the "&"; NULL when there is no such entity. */
static inline char *
fsparse_entity(char *to, const char **s)
{
	static const struct {
		const char *word;
		char means;
	} entities[] = { { "lt;", '<' },
			 { "gt;", '>' },
			 { "amp;", '&' },
			 { "quot;", '"' },
			 { "apos;", '\'' } };
	unsigned long c;
	char *end;

	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		size_t len = strlen(entities[i].word);

		if (strncmp(*s, entities[i].word, len) == 0) {
			*s += len;
			*to++ = entities[i].means;
			return to;
		}
	}
	if (**s != '#')
		return NULL;
	c = (*s)[1] == 'x' ? strtoul(*s + 2, &end, 16)
			   : strtoul(*s + 1, &end, 10);
	if (*end != ';' || !c || c > 0x10ffff)
		return NULL;
	*s = end + 1;
	return fsparse_utf8(to, c);
}

/* What is between the quotes; never longer than how it is written. */
static inline char *
fsparse_value(const char **s)
{
	char *value, *to;

	if (*(*s)++ != '"')
		return NULL;
	to = value = fsparse_have(malloc(strcspn(*s, "\"") + 1));
	while (to && **s != '"' && **s != '<' && **s) {
		if (**s == '&') {
			++*s;
			to = fsparse_entity(to, s);
		} else {
			*to++ = *(*s)++;
		}
	}
	if (!to || *(*s)++ != '"') {
		free(value);
		return NULL;
	}
	*to = '\0';
	return value;
}

static inline bool
fsparse_attributes(struct fsnode *n, const char **s)
{
	for (;;) {
		bool blank = **s == ' ';
		char *name, *value;

		fsparse_blanks(s);
		if (**s == '>' || **s == '/')
			return true;
		name = blank ? fsparse_name(s) : NULL;
		value = name && *(*s)++ == '=' ? fsparse_value(s) : NULL;
		for (unsigned i = 0; value && i < n->attributes; i++)
			if (strcmp(n->attribute[i][0], name) == 0) {
				free(value);
				value = NULL;
			}
		if (!value || n->attributes == FSPARSE_ATTRIBUTES) {
			free(name);
			free(value);
			return false;
		}
		n->attribute[n->attributes][0] = name;
		n->attribute[n->attributes++][1] = value;
	}
}

static inline struct fsnode *
fsparse_element(const char **s, unsigned depth)
{
	struct fsnode *n = fsparse_have(calloc(1, sizeof(*n)));
	struct fsnode **last = &n->child;

	if (depth == FSPARSE_DEPTH || *(*s)++ != '<' ||
	    !(n->name = fsparse_name(s)) || !fsparse_attributes(n, s))
		goto wrong;
	if (**s == '/') {
		if (strncmp(*s, "/>", 2) != 0)
			goto wrong;
		*s += 2;
		return n;
	}
	for (++*s; fsparse_blanks(s), strncmp(*s, "</", 2) != 0;
	     last = &(*last)->next)
		if (!(*last = fsparse_element(s, depth + 1)))
			goto wrong;
	*s += 2;
	if (strncmp(*s, n->name, strlen(n->name)) != 0 ||
	    (*s)[strlen(n->name)] != '>')
		goto wrong;
	*s += strlen(n->name) + 1;
	return n;
wrong:
	fsnode_free(n);
	return NULL;
}

/* NULL when it is not well-formed.  Free it with fsnode_free(). */
static inline struct fsnode *
fsparse(const char *text)
{
	struct fsnode *root;

	fsparse_blanks(&text);
	root = *text ? fsparse_element(&text, 0) : NULL;
	fsparse_blanks(&text);
	if (root && *text) {
		fsnode_free(root);
		return NULL;
	}
	return root;
}

static inline const char *
fsnode_attribute(const struct fsnode *n, const char *name)
{
	for (unsigned i = 0; i < n->attributes; i++)
		if (strcmp(n->attribute[i][0], name) == 0)
			return n->attribute[i][1];
	return NULL;
}

/* The first child of that name, with that attribute when one is given. */
static inline const struct fsnode *
fsnode_child(const struct fsnode *n, const char *name, const char *attribute,
	     const char *value)
{
	const struct fsnode *c = n ? n->child : NULL;

	for (; c; c = c->next) {
		const char *has =
			attribute ? fsnode_attribute(c, attribute) : NULL;

		if (strcmp(c->name, name) == 0 &&
		    (!attribute || (has && strcasecmp(has, value) == 0)))
			return c;
	}
	return NULL;
}

static inline bool
fsnode_is_user(const struct fsnode *n, const char *user)
{
	const char *id = fsnode_attribute(n, "id");
	const char *alias = fsnode_attribute(n, "number-alias");
	const char *type = fsnode_attribute(n, "type");

	return (id && strcasecmp(id, user) == 0) ||
	       (alias && strcasecmp(alias, user) == 0) ||
	       (type && strcasecmp(type, "pointer") != 0);
}

/* How many users of a domain FreeSWITCH would take for `user`; the first. */
static inline unsigned
fsnode_users(const struct fsnode *n, const char *user,
	     const struct fsnode **first)
{
	unsigned count = 0;

	for (n = n ? n->child : NULL; n; n = n->next) {
		if (strcmp(n->name, "user") != 0) {
			count += fsnode_users(n, user, first);
		} else if (fsnode_is_user(n, user)) {
			if (!*first)
				*first = n;
			count++;
		}
	}
	return count;
}

/* The value of <LIST><ITEM name="NAME" value="..."/>; NULL without. */
static inline const char *
fsnode_value(const struct fsnode *n, const char *list, const char *item,
	     const char *name)
{
	const struct fsnode *found = fsnode_child(
		fsnode_child(n, list, NULL, NULL), item, "name", name);

	return found ? fsnode_attribute(found, "value") : NULL;
}

#endif
