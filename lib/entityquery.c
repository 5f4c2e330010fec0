/* What people write about fields, order and conditions. */
#include "entityquery.h"

#include <stdio.h>
#include <string.h>

/* --- columns ---------------------------------------------------------- */

int
entity_no_field(const struct entity *t, const char *name, struct verr *e)
{
	const char *like = entity_field_suggest(t, name);

	verr_set(e, VERR_USAGE, "'%s' has no field '%s'", t->name, name);
	if (strcmp(t->name, "extension") == 0 &&
	    entity_field_find(entity_find("user"), name))
		return verr_add(e, "\nhint: it is a field of 'user'");
	if (like)
		return verr_add(e, "\nhint: did you mean '%s'?", like);
	return verr_add(e, "\nhint: 'voip-ext fields %s' lists them", t->name);
}

/* The whole key goes by "key" and by the entity's name, as in every list. */
static int
find_column(const struct entity *t, const char *name, struct entity_column *c,
	    struct verr *e)
{
	const struct entity_field *f = entity_field_find(t, name);

	c->field = t->fields;
	c->name = "key";
	c->kind = ENTITY_COLUMN_KEY;
	if (strcmp(name, t->name) == 0)
		c->name = t->name;
	else if (f == t->fields) {
		c->name = f->name;
		c->kind = ENTITY_COLUMN_NAME;
	} else if (f) {
		c->name = f->name;
		c->kind = ENTITY_COLUMN_FIELD;
		c->field = f;
	} else if (t->parent && strcmp(name, t->parent) == 0) {
		c->name = t->parent;
		c->kind = ENTITY_COLUMN_PARENT;
	} else if (t->in_domain && strcmp(name, "domain") == 0) {
		c->name = "domain";
		c->kind = ENTITY_COLUMN_DOMAIN;
	} else if (strcmp(name, "key") != 0) {
		return entity_no_field(t, name, e);
	}
	return 0;
}

/* The next name of a list with commas; false at its end. */
static bool
next_name(const char **list, char name[64])
{
	size_t n = strcspn(*list, ",");

	if (!**list)
		return false;
	snprintf(name, 64, "%.*s", (int)n, *list);
	*list += n + ((*list)[n] == ',');
	return true;
}

void
entity_query_init(struct entity_query *q, const struct entity *t)
{
	*q = (struct entity_query){ .entity = t };
	for (const struct entity_field *f = t->fields; f->name; f++)
		q->columns[q->ncolumns++] = (struct entity_column){
			f == t->fields ? t->name : f->name,
			f == t->fields ? ENTITY_COLUMN_KEY
				       : ENTITY_COLUMN_FIELD,
			f
		};
}

int
entity_query_fields(struct entity_query *q, const char *names, struct verr *e)
{
	char name[64];

	q->ncolumns = 0;
	while (next_name(&names, name)) {
		struct entity_column *c = &q->columns[q->ncolumns];

		if (find_column(q->entity, name, c, e) == -1)
			return -1;
		for (size_t i = 0; i < q->ncolumns; i++)
			if (strcmp(q->columns[i].name, c->name) == 0)
				return verr_set(e, VERR_USAGE,
						"field '%s' is given twice",
						name);
		q->ncolumns++;
	}
	return q->ncolumns ? 0
			   : verr_set(e, VERR_USAGE,
				      "no field is named\n"
				      "hint: 'voip-ext fields %s' lists them",
				      q->entity->name);
}

int
entity_query_sort(struct entity_query *q, const char *names, struct verr *e)
{
	char name[64];

	while (next_name(&names, name)) {
		struct entity_sort *s = &q->sorts[q->nsorts];

		if (q->nsorts == ENTITY_SORTS)
			return verr_set(e, VERR_USAGE,
					"more than %d fields to sort by",
					ENTITY_SORTS);
		s->descending = *name == '-';
		if (find_column(q->entity, name + s->descending, &s->column,
				e) == -1)
			return -1;
		if (entity_is_secret(s->column.field))
			return verr_set(e, VERR_USAGE,
					"field '%s' is secret and has no order",
					s->column.name);
		q->nsorts++;
	}
	return 0;
}

/* --- conditions ------------------------------------------------------- */

static const char *const signs[] = {
	[ENTITY_EQ] = "=",  [ENTITY_NE] = "!=",     [ENTITY_LT] = "<",
	[ENTITY_LE] = "<=", [ENTITY_GT] = ">",      [ENTITY_GE] = ">=",
	[ENTITY_HAS] = "~", [ENTITY_BEGINS] = "^=",
};

#define EQUAL (1U << ENTITY_EQ | 1U << ENTITY_NE)
#define ORDERED                                                        \
	(EQUAL | 1U << ENTITY_LT | 1U << ENTITY_LE | 1U << ENTITY_GT | \
	 1U << ENTITY_GE)
#define HAS    (1U << ENTITY_HAS)
#define BEGINS (1U << ENTITY_BEGINS)

/* clang-format off */
static const unsigned operators[] = {
	[ENTITY_TEXT]      = ORDERED | HAS | BEGINS,
	[ENTITY_INT]       = ORDERED,
	[ENTITY_BOOL]      = EQUAL,
	[ENTITY_CHOICE]    = EQUAL | HAS | BEGINS,
	[ENTITY_JSON]      = EQUAL | HAS,
	[ENTITY_TIME]      = ORDERED | BEGINS,
	[ENTITY_CIDR]      = ORDERED | HAS | BEGINS,
	[ENTITY_CIDRS]     = EQUAL | HAS,
	[ENTITY_REFERENCE] = ORDERED | HAS | BEGINS,
	[ENTITY_PASSWORD]  = EQUAL,
	[ENTITY_SEALED]    = EQUAL,
	[ENTITY_HASHED]    = EQUAL,
};
/* clang-format on */

static const char *
find_operator(const char *text, enum entity_operator *op)
{
	const char *end = NULL;
	size_t longest = 0;

	for (int i = 0; i < ENTITY_OPERATORS; i++) {
		size_t n = strlen(signs[i]);

		if (n > longest && strncmp(text, signs[i], n) == 0) {
			longest = n;
			*op = (enum entity_operator)i;
			end = text + n;
		}
	}
	return end;
}

static int
wrong_operator(const struct entity *t, const struct entity_condition *c,
	       struct verr *e)
{
	enum entity_type type = c->column.field->type;

	verr_set(e, VERR_USAGE,
		 "field '%s' of '%s' (%s) has no operator '%s'\nhint:",
		 c->column.name, t->name, entity_type_name(type), signs[c->op]);
	for (int i = 0; i < ENTITY_OPERATORS; i++)
		if (operators[type] & 1U << i)
			verr_add(e, " %s", signs[i]);
	return -1;
}

static int
read_time(struct entity_condition *c, struct verr *e)
{
	if (moment_utc(c->time, c->value, e) == -1)
		return -1;
	c->value = NULL;
	return 0;
}

/* Whether any text may be asked for, because it is only compared. */
static bool
takes_any_text(const struct entity_condition *c)
{
	enum entity_type type = c->column.field->type;

	if (c->column.kind != ENTITY_COLUMN_FIELD && type != ENTITY_CIDR)
		return true;
	if (type == ENTITY_TEXT || type == ENTITY_REFERENCE)
		return true;
	if (c->op == ENTITY_BEGINS)
		return true;
	return c->op == ENTITY_HAS && type != ENTITY_CIDR &&
	       type != ENTITY_CIDRS;
}

static int
check_value(const struct entity *t, struct entity_condition *c, struct verr *e)
{
	struct entity_field written = *c->column.field;
	const struct entity_value v = { &written, c->value };
	const char *name = c->column.name;

	if (!*c->value && c->op <= ENTITY_NE)
		return 0;
	if (!*c->value)
		return verr_set(e, VERR_USAGE, "'%s%s' needs a value", name,
				signs[c->op]);
	if (entity_is_secret(&written))
		return verr_set(e, VERR_USAGE,
				"field '%s' is secret\n"
				"hint: '%s=' finds those without, '%s!=' those "
				"with",
				name, name, name);
	if (takes_any_text(c))
		return 0;
	if (written.type == ENTITY_TIME)
		return read_time(c, e) == 0 ? 0
					    : verr_wrap(e, "field '%s' of '%s'",
							name, t->name);
	written.flags &= ~(unsigned)ENTITY_READONLY;
	return entity_check(t, NULL, &v, e);
}

/* "extension=1001" means the number, whatever its domain. */
static void
use_name_or_key(const struct entity *t, struct entity_condition *c)
{
	bool whole = t->in_domain && strchr(c->value, '@');

	if (c->column.kind != ENTITY_COLUMN_KEY &&
	    c->column.kind != ENTITY_COLUMN_NAME)
		return;
	if (strcmp(c->column.name, "key") == 0 && t->in_domain)
		return;
	c->column.kind = whole ? ENTITY_COLUMN_KEY : ENTITY_COLUMN_NAME;
}

int
entity_query_where(struct entity_query *q, const char *text, struct verr *e)
{
	struct entity_condition *c = &q->conditions[q->nconditions];
	const char *p = text, *end;
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
	char name[64];

	if (q->nconditions == ENTITY_CONDITIONS)
		return verr_set(e, VERR_USAGE, "more than %d conditions",
				ENTITY_CONDITIONS);
	p += n;
	p += strspn(p, " ");
	end = n && n < sizeof(name) ? find_operator(p, &c->op) : NULL;
	if (!end)
		return verr_set(e, VERR_USAGE,
				"'%s' is no condition\n"
				"hint: FIELD OPERATOR VALUE, with = != < <= > "
				">=, ~ for a part, ^= for a beginning",
				text);
	/* A blank before the operator says that one behind it is no value. */
	c->value = end + (p > text + n ? strspn(end, " ") : 0);
	snprintf(name, sizeof(name), "%.*s", (int)n, text);
	if (find_column(q->entity, name, &c->column, e) == -1)
		return -1;
	use_name_or_key(q->entity, c);
	if (!(operators[c->column.field->type] & 1U << c->op))
		return wrong_operator(q->entity, c, e);
	if (check_value(q->entity, c, e) == -1)
		return -1;
	q->nconditions++;
	return 0;
}
