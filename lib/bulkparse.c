/* A record of either form as names with values. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulk.h"
#include "csv.h"
#include "hash.h"
#include "valid.h"

#define TOO_MANY "more than %d fields"

void
bulk_row_release(struct bulk_row *row)
{
	for (size_t i = 0; i < row->nowned; i++) {
		hash_wipe(row->owned[i], strlen(row->owned[i]));
		free(row->owned[i]);
	}
	json_decref(row->json);
}

static const char *
own(struct bulk_row *row, char *text, struct verr *e)
{
	if (!text) {
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	if (row->nowned == sizeof(row->owned) / sizeof(row->owned[0])) {
		hash_wipe(text, strlen(text));
		free(text);
		verr_set(e, VERR_INPUT, TOO_MANY, BULK_COLUMNS * 2);
		return NULL;
	}
	return row->owned[row->nowned++] = text;
}

static int
add_member(struct bulk_row *row, const struct bulk_member *m, struct verr *e)
{
	const char **head = NULL;

	if (strcmp(m->name, "reason") == 0)
		return 0;
	if (strcmp(m->name, "entity") == 0)
		head = &row->entity;
	else if (strcmp(m->name, "key") == 0)
		head = &row->key;
	if (head && m->form != BULK_SCALAR)
		return verr_set(e, VERR_INPUT, "member '%s' is no text",
				m->name);
	if (head)
		*head = m->value;
	else if (row->n == BULK_COLUMNS * 2)
		return verr_set(e, VERR_INPUT, TOO_MANY, BULK_COLUMNS * 2);
	else
		row->members[row->n++] = *m;
	return 0;
}

/* --- JSON ------------------------------------------------------------- */

static const char *
skip_blank(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static const char *
skip_string(const char *p)
{
	for (p++; *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p + 1;
}

/* The end of a value that is known to be right. */
static const char *
skip_value(const char *p)
{
	int depth = 0;

	do {
		if (*p == '"') {
			p = skip_string(p);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		p++;
	} while (depth > 0 || !strchr(",}] \t\r\n", *p));
	return p;
}

/*
 * The text of a member's value, because jansson rounds numbers.  `line` is an
 * object that jansson has taken; a name is compared as it stands there.
 */
static char *
raw_value(const char *line, const char *name)
{
	const char *p = skip_blank(skip_blank(line) + 1);
	size_t len = strlen(name);

	while (*p == '"') {
		const char *key = p + 1, *value, *end;

		p = skip_string(p);
		value = skip_blank(skip_blank(p) + 1);
		end = skip_value(value);
		if ((size_t)(p - 1 - key) == len && memcmp(key, name, len) == 0)
			return strndup(value, (size_t)(end - value));
		p = skip_blank(end);
		if (*p == ',')
			p = skip_blank(p + 1);
	}
	return NULL;
}

/* Networks may be an array of strings. */
static char *
join_array(const json_t *array)
{
	struct buf b = BUF_INIT;
	size_t i;
	json_t *part;

	json_array_foreach (array, i, part) {
		if (!json_is_string(part)) {
			buf_release(&b);
			return NULL;
		}
		buf_printf(&b, "%s%s", i ? "," : "", json_string_value(part));
	}
	if (b.len == 0)
		return strdup("");
	return buf_detach(&b);
}

static const char *
text_of(struct bulk_row *row, const char *line, const char *name,
	const json_t *value, struct verr *e)
{
	char number[32], *text;

	switch (json_typeof(value)) {
	case JSON_STRING:
		return json_string_value(value);
	case JSON_NULL:
		return "";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_INTEGER:
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(value));
		return own(row, strdup(number), e);
	case JSON_OBJECT:
	case JSON_REAL:
		text = raw_value(line, name);
		break;
	default:
		text = join_array(value);
	}
	if (text)
		return own(row, text, e);
	verr_set(e, VERR_INPUT, "the value of '%s' cannot be read",
		 valid_show(name).text);
	return NULL;
}

static int
form_of(const json_t *value)
{
	if (json_is_object(value))
		return BULK_OBJECT;
	return json_is_array(value) ? BULK_LIST : BULK_SCALAR;
}

static int
near(const char *text)
{
	const char *p = strstr(text, " near ");

	return (int)(p ? (size_t)(p - text) : strlen(text));
}

static int
parse_json(struct bulk_row *row, const struct bulk_record *r, struct verr *e)
{
	json_error_t error;
	const char *name;
	json_t *value, *json;

	json = json_loadb(r->text, r->len, JSON_REJECT_DUPLICATES, &error);
	row->json = json;
	/* What it is near may be a secret. */
	if (!json && json_error_code(&error) == json_error_null_character)
		verr_set(e, VERR_INPUT, "a NUL (\\u0000) in it");
	else if (!json)
		verr_set(e, VERR_INPUT, "not JSON: %.*s at column %d",
			 near(error.text), error.text, error.column);
	else if (!json_is_object(json))
		verr_set(e, VERR_INPUT, "not a JSON object");
	if (!json_is_object(json))
		return r->line > 1 ? -1
				   : verr_add(e, "\nhint: each line is a whole "
						 "object; CSV needs an entity: "
						 "ENTITY apply FILE");
	json_object_foreach (row->json, name, value) {
		struct bulk_member m = {
			.name = name,
			.value = text_of(row, r->text, name, value, e),
			.form = form_of(value),
		};

		if (!m.value || add_member(row, &m, e) == -1)
			return -1;
	}
	return 0;
}

/* --- CSV -------------------------------------------------------------- */

static int
check_names(const struct bulk *b, struct verr *e)
{
	bool key = false;

	for (int i = 0; i < b->nnames; i++) {
		key = key || strcmp(b->names[i], "key") == 0;
		for (int j = 0; j < i; j++)
			if (strcmp(b->names[i], b->names[j]) == 0)
				return verr_set(e, VERR_INPUT,
						"column '%s' is there twice",
						b->names[i]);
	}
	if (key)
		return 0;
	return verr_set(e, VERR_INPUT,
			"there is no column 'key'\n"
			"hint: the first line names the columns, with commas "
			"between them");
}

static int
parse_header(struct bulk *b, const struct bulk_record *r, struct verr *e)
{
	b->file.csv = true;
	buf_add(&b->header, r->text, r->len);
	if (buf_failed(&b->header))
		return verr_set(e, VERR_RETRY, "out of memory");
	b->nnames = csv_split(b->header.data, b->names,
			      sizeof(b->names) / sizeof(b->names[0]), e);
	return b->nnames == -1 ? -1 : check_names(b, e);
}

static int
parse_csv(struct bulk *b, struct bulk_row *row, const struct bulk_record *r,
	  struct verr *e)
{
	const char *values[BULK_COLUMNS * 2];
	int n = csv_split(r->text, values, BULK_COLUMNS * 2, e);

	if (n == -1)
		return -1;
	if (n != b->nnames)
		return verr_set(e, VERR_INPUT,
				"%d field%s, but the first line names %d", n,
				n == 1 ? "" : "s", b->nnames);
	for (int i = 0; i < n; i++) {
		const struct bulk_member m = { b->names[i], values[i],
					       BULK_SCALAR };

		if (add_member(row, &m, e) == -1)
			return -1;
	}
	return 0;
}

int
bulk_parse(struct bulk *b, struct bulk_row *row, const struct bulk_record *r,
	   struct verr *e)
{
	*row = (struct bulk_row){ 0 };
	if (r->problem)
		return verr_set(e, VERR_INPUT, "%s", r->problem);
	/* The first record tells which form it is. */
	if (b->nnames == 0 && !b->json)
		b->json = !b->o->only || *skip_blank(r->text) == '{';
	if (b->json)
		return parse_json(row, r, e);
	if (b->nnames == 0)
		return parse_header(b, r, e);
	return parse_csv(b, row, r, e);
}
