#include "change.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "out.h"
#include "utf8.h"

/* clang-format off */
static const char *const ops[] = {
	[CHANGE_INSERT] = "insert",
	[CHANGE_UPDATE] = "update",
	[CHANGE_DELETE] = "delete",
	[CHANGE_MANY]   = "many",
	[CHANGE_RESYNC] = "resync",
};

enum column { OP, ENTITY, KEY, DOMAIN, COLUMNS };

static const char *const columns[COLUMNS] = {
	[OP] = "op", [ENTITY] = "entity", [KEY] = "key", [DOMAIN] = "domain",
};
/* clang-format on */

/* --- taking values ---------------------------------------------------- */

static int
set_op(struct change *c, const char *word, struct verr *e)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (strcmp(ops[i], word) == 0) {
			c->op = (enum change_op)i;
			return 0;
		}
	}
	return verr_set(e, VERR_INPUT, "unknown operation '%.32s'", word);
}

static int
set_text(char *to, size_t size, const char *what, const char *value, size_t len,
	 struct verr *e)
{
	if (len >= size)
		return verr_set(e, VERR_INPUT, "%s is longer than %zu bytes",
				what, size - 1);
	memcpy(to, value, len);
	to[len] = '\0';
	return 0;
}

/* `word` is an entity's name in a line, and its table's in a payload. */
static int
set_entity(struct change *c, const char *word, bool is_table, struct verr *e)
{
	for (const struct entity *t = entities; t->name; t++)
		if (strcmp(is_table ? t->table : t->name, word) == 0)
			c->entity = t;
	if (c->entity)
		word = c->entity->table;
	else if (*word == '\0')
		return verr_set(e, VERR_INPUT, "no entity is named");
	return set_text(c->table, sizeof(c->table), "entity", word,
			strlen(word), e);
}

/* Neither what is named last in a key nor a domain has a '/' in its name. */
static int
set_name(struct change *c, const char *key, size_t len, struct verr *e)
{
	const char *slash = NULL;

	if (len == 0)
		return verr_set(e, VERR_INPUT, "the key is empty");
	if (c->entity && c->entity->parent && c->op != CHANGE_MANY)
		slash = memrchr(key, '/', len);
	if (slash && slash != key) {
		size_t parent_len = (size_t)(slash - key);

		if (set_text(c->parent, sizeof(c->parent), "key", key,
			     parent_len, e) == -1)
			return -1;
		key += parent_len + 1;
		len -= parent_len + 1;
	}
	return set_text(c->name, sizeof(c->name), "key", key, len, e);
}

static bool
has_suffix(const struct change *c)
{
	return c->entity && c->entity->in_domain && *c->domain &&
	       c->op != CHANGE_MANY;
}

/* The key of a line: "1001@a.example". */
static int
set_key(struct change *c, const char *key, struct verr *e)
{
	size_t len = strlen(key), domain_len = strlen(c->domain);

	if (has_suffix(c)) {
		if (len <= domain_len || key[len - domain_len - 1] != '@' ||
		    strcmp(key + len - domain_len, c->domain) != 0)
			return verr_set(e, VERR_INPUT,
					"the key is not in the domain");
		len -= domain_len + 1;
	}
	return set_name(c, key, len, e);
}

/* --- lines ------------------------------------------------------------ */

static int
from_columns(struct change *c, const char *const values[COLUMNS],
	     struct verr *e)
{
	*c = (struct change){ 0 };
	if (!values[OP])
		return verr_set(e, VERR_INPUT, "no operation is named");
	if (set_op(c, values[OP], e) == -1)
		return -1;
	if (c->op == CHANGE_RESYNC)
		return 0;
	if (!values[ENTITY] || !values[KEY])
		return verr_set(e, VERR_INPUT, "entity or key is missing");
	if (set_entity(c, values[ENTITY], false, e) == -1)
		return -1;
	if (values[DOMAIN] &&
	    set_text(c->domain, sizeof(c->domain), "domain", values[DOMAIN],
		     strlen(values[DOMAIN]), e) == -1)
		return -1;
	return set_key(c, values[KEY], e);
}

static json_t *
load_object(const char *text, size_t len, struct verr *e)
{
	json_error_t why;
	json_t *object;

	object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!object)
		verr_set(e,
			 json_error_code(&why) == json_error_out_of_memory
				 ? VERR_RETRY
				 : VERR_INPUT,
			 "not JSON: %s", why.text);
	else if (!json_is_object(object))
		verr_set(e, VERR_INPUT, "not a JSON object");
	else
		return object;
	json_decref(object);
	return NULL;
}

/* A member's text; NULL when it is null or not there. */
static int
get_text(const char **value, const json_t *object, const char *name,
	 struct verr *e)
{
	const json_t *member = json_object_get(object, name);

	*value = json_string_value(member);
	if (member && !*value && !json_is_null(member))
		return verr_set(e, VERR_INPUT, "member '%s' is not a string",
				name);
	return 0;
}

static int
from_json(struct change *c, const char *line, size_t len, struct verr *e)
{
	const char *values[COLUMNS];
	json_t *object = load_object(line, len, e);
	int rc = 0;

	if (!object)
		return -1;
	for (size_t i = 0; i < COLUMNS && rc == 0; i++)
		rc = get_text(&values[i], object, columns[i], e);
	if (rc == 0)
		rc = from_columns(c, values, e);
	json_decref(object);
	return rc;
}

/* Undo the escapes of one field in place. */
static void
unescape(char *s)
{
	static const char letters[] = "tnr\\", plain[] = "\t\n\r\\";
	char *to = s;

	for (; *s; s++) {
		const char *p =
			s[0] == '\\' && s[1] ? strchr(letters, s[1]) : NULL;

		if (p)
			s++;
		*to++ = p ? plain[p - letters] : *s;
	}
	*to = '\0';
}

static int
from_tsv(struct change *c, char *line, struct verr *e)
{
	const char *values[COLUMNS] = { NULL };
	char *next = line;
	size_t n = 0;

	do {
		char *field = strsep(&next, "\t");

		unescape(field);
		values[n] = field;
	} while (++n < COLUMNS && next);
	if (strcmp(values[OP], columns[OP]) == 0)
		return 0;
	return from_columns(c, values, e) == -1 ? -1 : 1;
}

int
change_from_line(struct change *c, const char *line, size_t len, struct verr *e)
{
	struct buf copy = BUF_INIT;
	int rc;

	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len == 0)
		return 0;
	if (len > CHANGE_LINE_MAX)
		return verr_set(e, VERR_INPUT,
				"the line is longer than %d bytes",
				CHANGE_LINE_MAX);
	if (memchr(line, '\0', len) || !utf8_valid(line, len))
		return verr_set(e, VERR_INPUT, "the line is not valid UTF-8");
	if (*line == '{')
		return from_json(c, line, len, e) == -1 ? -1 : 1;
	buf_add(&copy, line, len);
	if (buf_failed(&copy))
		rc = verr_set(e, VERR_RETRY, "out of memory");
	else
		rc = from_tsv(c, copy.data, e);
	buf_release(&copy);
	return rc;
}

/* --- payloads --------------------------------------------------------- */

static int
from_object(struct change *c, const json_t *object, struct verr *e)
{
	const char *table, *domain, *key, *op;

	if (get_text(&table, object, "table", e) == -1 ||
	    get_text(&domain, object, "domain", e) == -1 ||
	    get_text(&key, object, "key", e) == -1 ||
	    get_text(&op, object, "op", e) == -1)
		return -1;
	if (!table || !key || !op)
		return verr_set(e, VERR_INPUT, "table, key or op is missing");
	if (set_op(c, op, e) == -1 || set_entity(c, table, true, e) == -1)
		return -1;
	if (c->op == CHANGE_RESYNC)
		return verr_set(e, VERR_INPUT, "unknown operation 'resync'");
	if (domain && set_text(c->domain, sizeof(c->domain), "domain", domain,
			       strlen(domain), e) == -1)
		return -1;
	return set_name(c, key, strlen(key), e);
}

int
change_from_payload(struct change *c, const char *payload, size_t len,
		    struct verr *e)
{
	json_t *object = load_object(payload, len, e);
	int rc;

	*c = (struct change){ 0 };
	if (!object)
		return -1;
	rc = from_object(c, object, e);
	json_decref(object);
	return rc;
}

/* --- printing --------------------------------------------------------- */

/* The key as voip-ext(1) takes it: "support/1001@a.example". */
static void
add_key(struct buf *out, const struct change *c)
{
	if (*c->parent)
		buf_printf(out, "%s/", c->parent);
	buf_puts(out, c->name);
	if (has_suffix(c))
		buf_printf(out, "@%s", c->domain);
}

static void
print_json(struct buf *out, const char *const values[COLUMNS])
{
	for (size_t i = 0; i < COLUMNS; i++) {
		if (!values[i] && values[KEY] == NULL)
			break; /* a resync is its operation */
		buf_printf(out, "%c\"%s\":", i ? ',' : '{', columns[i]);
		if (values[i])
			utf8_json(out, values[i], strlen(values[i]));
		else
			buf_puts(out, "null");
	}
	buf_puts(out, "}\n");
}

static void
print_tsv(struct buf *out, const char *const values[COLUMNS])
{
	for (size_t i = 0; i < COLUMNS; i++) {
		if (i)
			buf_putc(out, '\t');
		if (values[i])
			out_tsv_string(out, values[i]);
	}
	buf_putc(out, '\n');
}

void
change_print(struct buf *out, enum change_format format, const struct change *c)
{
	const char *values[COLUMNS] = { [OP] = ops[c->op] };
	struct buf key = BUF_INIT;

	if (c->op != CHANGE_RESYNC) {
		add_key(&key, c);
		values[ENTITY] = c->entity ? c->entity->name : c->table;
		values[KEY] = key.data;
		values[DOMAIN] = *c->domain ? c->domain : NULL;
	}
	if (buf_failed(&key))
		out->failed = true;
	else if (format == CHANGE_JSONL)
		print_json(out, values);
	else
		print_tsv(out, values);
	buf_release(&key);
}

void
change_head(struct buf *out, enum change_format format)
{
	if (format == CHANGE_TSV)
		print_tsv(out, columns);
}
