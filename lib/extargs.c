/* The arguments of a command: secrets, fields, keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "account.h"
#include "entityquery.h"
#include "extcommand.h"
#include "utf8.h"

/* --- secrets ---------------------------------------------------------- */

/* The value of FIELD=VALUE where the field is a secret one; else NULL. */
static const char *
secret_value(const char *assignment)
{
	const char *value = strchr(assignment, '=');
	char name[64];

	if (!value || (size_t)(value - assignment) >= sizeof(name))
		return NULL;
	snprintf(name, sizeof(name), "%.*s", (int)(value - assignment),
		 assignment);
	for (const struct entity *t = entities; t->name; t++) {
		const struct entity_field *f = entity_field_find(t, name);

		if (f && entity_is_secret(f))
			return value + 1;
	}
	return NULL;
}

void
ext_hide_secrets(const struct ext_options *o)
{
	for (int i = 1; i < o->argc; i++) {
		const char *value = secret_value(o->argv[i]);

		if (value)
			memset(o->argv[i] + (value - o->argv[i]), '*',
			       strlen(value));
	}
}

void
ext_note_words(struct ext_command *c, int argc, const char **argv)
{
	struct buf b = BUF_INIT;
	size_t n = 0, next = 0;

	for (int i = 0; i < argc && b.len < sizeof(c->words); i++) {
		const char *value = secret_value(argv[i]);

		if (i)
			buf_putc(&b, ' ');
		utf8_repair(&b, argv[i],
			    value ? (size_t)(value - argv[i])
				  : strnlen(argv[i], sizeof(c->words)));
		if (value)
			buf_puts(&b, "********");
	}
	/* What does not fit is cut between characters. */
	while (next < sizeof(c->words) && next <= b.len) {
		n = next;
		next += next < b.len
				? utf8_sequence(b.data + next, b.len - next)
				: 1;
	}
	memcpy(c->words, b.data, n);
	c->words[n] = '\0';
	buf_release(&b);
}

void
ext_wipe_secrets(struct ext_command *c)
{
	for (size_t i = 0; i < c->nsecrets; i++) {
		hash_wipe(c->secrets[i], strlen(c->secrets[i]));
		free(c->secrets[i]);
	}
	c->nsecrets = 0;
	for (size_t i = 0; i < c->ncopied; i++)
		free(c->copied[i]);
	c->ncopied = 0;
	ext_range_free(c->range);
	c->range = NULL;
}

/* One line of standard input; a terminal does not show it. */
static char *
read_line(struct verr *e)
{
	struct termios before, quiet;
	bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (terminal) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	n = getline(&line, &size, stdin);
	if (terminal)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = '\0';
	if (n > 0)
		return line;
	free(line);
	verr_set(e, VERR_INPUT, "no secret on standard input");
	return NULL;
}

static int
make_random(char secret[ACCOUNT_SECRET], const struct entity_field *f,
	    struct verr *e)
{
	return f->flags & ENTITY_DIALLED ? account_random_pin(secret, e)
					 : account_random(secret, e);
}

static int
read_secret(struct ext_command *c, struct entity_value *v, struct verr *e)
{
	char random[ACCOUNT_SECRET], *secret;

	if (!*v->value)
		return 0;
	if (strcmp(v->value, "-") == 0) {
		secret = read_line(e);
	} else {
		bool make = strcmp(v->value, "random") == 0;

		if (make && make_random(random, v->field, e) == -1)
			return -1;
		secret = strdup(make ? random : v->value);
		if (make) {
			c->made[c->nmade] = secret;
			c->made_names[c->nmade++] = v->field->name;
		}
		if (!secret)
			verr_set(e, VERR_RETRY, "out of memory");
		hash_wipe(random, sizeof(random));
	}
	if (!secret)
		return -1;
	c->secrets[c->nsecrets++] = secret;
	v->value = secret;
	return 0;
}

/* --- arguments -------------------------------------------------------- */

/* A secret that comes into being with its row. */
static int
make_secret(struct ext_command *c, const struct entity_field *f, struct verr *e)
{
	struct entity_value v = { f, "random" };

	if (read_secret(c, &v, e) == -1)
		return -1;
	c->values[c->n++] = v;
	return 0;
}

int
ext_make_secrets(struct ext_command *c, struct verr *e)
{
	for (const struct entity_field *f = c->entity->fields; f->name; f++)
		if (f->flags & ENTITY_MADE && !ext_value(c, f->name) &&
		    c->n < EXT_VALUES && make_secret(c, f, e) == -1)
			return -1;
	return 0;
}

static bool
is_given(const struct ext_command *c, const struct entity_field *f)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->values[i].field == f)
			return true;
	for (size_t i = 0; i < c->user_n; i++)
		if (c->user_values[i].field == f)
			return true;
	return false;
}

/* What a range gives each number is checked number by number. */
static int
check_range_value(struct ext_command *c, const struct entity *owner,
		  struct entity_value *v, struct verr *e)
{
	enum entity_type type = v->field->type;

	if (type == ENTITY_PASSWORD && strcmp(v->value, "random") == 0) {
		c->range->random = true;
		c->made_names[0] = v->field->name;
		v->value = ext_random;
		return 0;
	}
	if (entity_is_secret(v->field) && type != ENTITY_PASSWORD)
		return verr_set(e, VERR_USAGE,
				"field '%s' is not for a range\n"
				"hint: set it for each number",
				v->field->name);
	if (type == ENTITY_PASSWORD && read_secret(c, v, e) == -1)
		return -1;
	if (type == ENTITY_TEXT && ext_range_varies(v->value))
		return v->field->flags & ENTITY_READONLY
			       ? entity_check(owner, c->key_text, v, e)
			       : 0;
	return entity_check(owner, c->key_text, v, e);
}

/* The field that an assignment names; for an extension also its user's. */
static int
find_field(const struct ext_command *c, const char *assignment,
	   const struct entity **owner, const struct entity_field **f,
	   struct verr *e)
{
	const char *equals = strchr(assignment, '=');
	char name[64];

	*f = NULL;
	if (!equals || equals == assignment ||
	    (size_t)(equals - assignment) >= sizeof(name))
		return verr_set(e, VERR_USAGE, "'%s' is not FIELD=VALUE",
				assignment);
	snprintf(name, sizeof(name), "%.*s", (int)(equals - assignment),
		 assignment);
	*owner = c->entity;
	*f = entity_field_find(*owner, name);
	if (!*f && strcmp(c->entity->name, "extension") == 0) {
		*owner = entity_find("user");
		*f = entity_field_find(*owner, name);
	}
	return *f ? 0 : entity_no_field(c->entity, name, e);
}

static int
add_value(struct ext_command *c, const char *assignment, struct verr *e)
{
	const struct entity *owner = c->entity;
	struct entity_value v;
	int rc;

	if (find_field(c, assignment, &owner, &v.field, e) == -1 || !v.field)
		return -1;
	v.value = strchr(assignment, '=') + 1;
	if (is_given(c, v.field))
		return verr_set(e, VERR_USAGE, "field '%s' is given twice",
				v.field->name);
	if (c->n + c->user_n == EXT_VALUES)
		return verr_set(e, VERR_USAGE, "too many fields");
	if (c->range)
		rc = check_range_value(c, owner, &v, e);
	else if (entity_is_secret(v.field) && read_secret(c, &v, e) == -1)
		rc = -1;
	else
		rc = entity_check(owner, c->key_text, &v, e);
	if (rc == -1)
		return -1;
	if (owner == c->entity)
		c->values[c->n++] = v;
	else
		c->user_values[c->user_n++] = v;
	return 0;
}

int
ext_add_values(struct ext_command *c, const struct ext_verb *verb, int argc,
	       const char **argv, struct verr *e)
{
	const char *template = "template=";
	size_t n = strlen(template);

	for (int i = 0; i < argc; i++) {
		/* No entity has a field of that name. */
		if (verb->flags & EXT_RANGES &&
		    strncmp(argv[i], template, n) == 0)
			c->template = argv[i] + n;
		else if (add_value(c, argv[i], e) == -1)
			return -1;
	}
	return 0;
}

int
ext_set_key(struct ext_command *c, const char *text, struct verr *e)
{
	snprintf(c->key_text, sizeof(c->key_text), "%s", text);
	if (entity_key_parse(&c->key, c->entity, text, e) == 0)
		return 0;
	/* Else the key as a whole is no key, which the message says. */
	return *c->key.name ? verr_wrap(e, "%s '%s'", c->entity->name,
					valid_show(text).text)
			    : -1;
}

const struct entity_value *
ext_value(const struct ext_command *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->values[i].field->name, name) == 0)
			return &c->values[i];
	return NULL;
}
