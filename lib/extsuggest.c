/* "Did you mean": the nearest word, domain or key to what does not exist. */
#include <stdio.h>
#include <string.h>

#include "confvalue.h"
#include "entityquery.h"
#include "extcommand.h"

/* The nearest of several words so far. */
struct nearest {
	const char *word;
	char found[256];
	unsigned best; /* only what is nearer than this */
};

static void
nearest_begin(struct nearest *n, const char *word)
{
	n->word = word;
	n->found[0] = '\0';
	n->best = (unsigned)strlen(word) / 3 + 2;
	if (n->best > 4)
		n->best = 4;
}

static void
consider(struct nearest *n, const char *candidate)
{
	unsigned distance = conf_value_distance(n->word, candidate);

	if (distance >= n->best)
		return;
	n->best = distance;
	snprintf(n->found, sizeof(n->found), "%s", candidate);
}

/* What other programs call it. */
static const char *
synonym(const char *word)
{
	static const char *const words[][2] = {
		{ "create", "add" },   { "new", "add" },
		{ "del", "rm" },       { "delete", "rm" },
		{ "remove", "rm" },    { "get", "show" },
		{ "view", "show" },    { "ls", "list" },
		{ "edit", "set" },     { "update", "set" },
		{ "modify", "set" },   { "import", "apply" },
		{ "load", "apply" },   { "dump", "export" },
		{ "revert", "undo" },  { "history", "log" },
		{ "check", "doctor" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i][0], word) == 0)
			return words[i][1];
	return NULL;
}

void
ext_unknown_word(const char *word, bool is_verb, struct verr *e)
{
	const char *same = synonym(word);
	struct nearest n;

	nearest_begin(&n, word);
	for (const struct entity *t = entities; t->name && !is_verb; t++)
		consider(&n, t->name);
	for (const struct ext_verb *v = ext_verbs(); v->name; v++)
		consider(&n, v->name);
	verr_set(e, VERR_USAGE, "'%s' is no %sverb\nhint: ", word,
		 is_verb ? "" : "entity and no ");
	if (same || *n.found)
		verr_add(e, "did you mean '%s'? ", same ? same : n.found);
	if (!is_verb) {
		verr_add(e, "entities:");
		for (const struct entity *t = entities; t->name; t++)
			verr_add(e, " %s", t->name);
		verr_add(e, "; ");
	}
	verr_add(e, "verbs:");
	for (const struct ext_verb *v = ext_verbs(); v->name; v++)
		verr_add(e, " %s", v->name);
}

static int
one_more(const char *const *values, void *arg, struct verr *e)
{
	(void)e;
	consider(arg, values[0]);
	return 0;
}

/* Numbers are all near to each other: no other number is meant. */
static bool
is_number(const char *s)
{
	return !s[strspn(s, "0123456789+*#")];
}

static bool
domain_exists(struct db *db, const char *domain)
{
	struct entity_query q;
	struct entity_key key = { "", "", "" };
	struct verr ignored = VERR_INIT;
	struct db_result *r = NULL;
	bool found = true;

	snprintf(key.name, sizeof(key.name), "%s", domain);
	entity_query_init(&q, entity_find("domain"));
	q.key = &key;
	if (entity_query_run(db, &r, &q, &ignored) == 0)
		found = db_rows(r) > 0;
	db_result_free(r);
	return found;
}

static void
search(struct db *db, const struct entity *t, const char *domain,
       struct nearest *n)
{
	struct verr ignored = VERR_INIT;
	struct entity_query q;

	entity_query_init(&q, t);
	q.ncolumns = 1;
	q.columns[0].kind = ENTITY_COLUMN_NAME;
	q.domain = domain;
	q.limit = 5000;
	entity_query_each(db, &q, one_more, n, &ignored);
}

void
ext_suggest(struct db *db, const struct ext_command *c, struct verr *e)
{
	const struct entity *t = c->entity;
	struct nearest n;

	if (!*c->key.name || strchr(e->msg, '\n') ||
	    !strstr(e->msg, "does not exist"))
		return;
	if (t->in_domain && !domain_exists(db, c->key.domain)) {
		nearest_begin(&n, c->key.domain);
		search(db, entity_find("domain"), NULL, &n);
		if (strncmp(e->msg, "domain ", 7) != 0)
			verr_add(e, "\nhint: there is no domain '%s'",
				 c->key.domain);
		if (*n.found)
			verr_add(e, "%sdid you mean '%s'?",
				 strchr(e->msg, '\n') ? "; " : "\nhint: ",
				 n.found);
		return;
	}
	if (t->parent || is_number(c->key.name))
		return;
	nearest_begin(&n, c->key.name);
	search(db, t, t->in_domain ? c->key.domain : NULL, &n);
	if (*n.found && strcmp(n.found, c->key.name) != 0)
		verr_add(e, "\nhint: did you mean '%s%s%s'?", n.found,
			 t->in_domain ? "@" : "",
			 t->in_domain ? c->key.domain : "");
}
