/* entity: keys, values, and that the table is whole. */

#include "unit.h"

#include "entity.h"

static const struct {
	const char *entity, *text;
	const char *parent, *name, *domain; /* name NULL: refused */
} keys[] = {
	{ "domain", "pbx.example.com", "", "pbx.example.com", "" },
	{ "domain", "", NULL, NULL, NULL },
	{ "domain", "a b", NULL, NULL, NULL },
	{ "user", "1001@pbx.example.com", "", "1001", "pbx.example.com" },
	{ "user", "-x@a.example", "", "-x", "a.example" },
	{ "user", "1001", NULL, NULL, NULL },
	{ "user", "1001@", NULL, NULL, NULL },
	{ "user", "@pbx.example.com", NULL, NULL, NULL },
	{ "user", "@", NULL, NULL, NULL },
	{ "user", "a@b@c.example", NULL, NULL, NULL },
	{ "user", "a'b@c.example", NULL, NULL, NULL },
	{ "user", "a@c.example'", NULL, NULL, NULL },
	{ "queue", "a@b@c.example", "", "a@b", "c.example" },
	{ "queue", "a/b@c.example", "", "a/b", "c.example" },
	{ "member", "q/1001@c.example", "q", "1001", "c.example" },
	{ "member", "1001@c.example", NULL, NULL, NULL },
	{ "member", "/1001@c.example", NULL, NULL, NULL },
	{ "member", "q/@c.example", NULL, NULL, NULL },
	{ "trunk", "carrier1", "", "carrier1", "" },
	{ "trunk", "carrier 1", NULL, NULL, NULL },
	{ "address", "192.0.2.0/24", "", "192.0.2.0/24", "" },
	{ "address", "192.0.2.0/33", NULL, NULL, NULL },
};

static void
test_keys(void)
{
	for (size_t i = 0; i < COUNT(keys); i++) {
		const struct entity *t = entity_find(keys[i].entity);
		struct verr e = VERR_INIT;
		struct entity_key key;
		struct buf b = BUF_INIT;
		int rc = entity_key_parse(&key, t, keys[i].text, &e);

		if ((rc == 0) != (keys[i].name != NULL)) {
			printf("%s '%s': %d %s\n", keys[i].entity, keys[i].text,
			       rc, e.msg);
			CHECK(false);
		}
		if (rc == -1 || !keys[i].name)
			continue;
		CHECK_STR(key.parent, keys[i].parent);
		CHECK_STR(key.name, keys[i].name);
		CHECK_STR(key.domain, keys[i].domain);
		entity_key_format(&b, t, &key);
		CHECK_STR(b.data, keys[i].text);
		buf_release(&b);
	}
}

static void
test_long_key(void)
{
	struct verr e = VERR_INIT;
	struct entity_key key;
	char text[300];

	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	CHECK(entity_key_parse(&key, entity_find("trunk"), text, &e) == -1);
	CHECK(e.kind == VERR_INPUT);
}

static const struct {
	const char *entity, *field, *value;
	bool ok;
} values[] = {
	{ "user", "role", "admin", true },
	{ "user", "role", "agent supervisor", false },
	{ "user", "role", "", true },
	{ "user", "role", "admi", false },
	{ "user", "max_calls", "0", true },
	{ "user", "max_calls", "2147483647", true },
	{ "user", "max_calls", "2147483648", false },
	{ "user", "max_calls", "-1", false },
	{ "user", "max_calls", "1x", false },
	{ "user", "active", "maybe", false },
	{ "user", "cidr", "192.0.2.0/24,2001:db8::/32", true },
	{ "user", "cidr", "192.0.2.0/24,nonsense", false },
	{ "user", "created_at", "now", false },
	{ "user", "username", "", false },
	{ "extension", "service_ref", "{\"a\":1}", true },
	{ "extension", "service_ref", "[1]", false },
	{ "extension", "type", "", false },
};

static void
test_values(void)
{
	for (size_t i = 0; i < COUNT(values); i++) {
		const struct entity *t = entity_find(values[i].entity);
		struct entity_value v = { entity_field_find(t, values[i].field),
					  values[i].value };
		struct verr e = VERR_INIT;

		if ((entity_check(t, NULL, &v, &e) == 0) != values[i].ok) {
			printf("%s %s='%s': %s\n", values[i].entity,
			       values[i].field, values[i].value, e.msg);
			CHECK(false);
		}
	}
}

static void
test_table(void)
{
	for (const struct entity *t = entities; t->name; t++) {
		CHECK(entity_find(t->name) == t);
		CHECK(t->help && *t->help);
		CHECK(!t->parent || (entity_find(t->parent) &&
				     t->parent_column && t->in_domain));
		CHECK(!(t->fields[0].flags & ENTITY_READONLY));
		for (const struct entity_field *f = t->fields; f->name; f++) {
			/* No name twice. */
			CHECK(entity_field_find(t, f->name) == f);
			CHECK(f->column && *f->column);
			CHECK(f->help && *f->help);
			CHECK(entity_type_name(f->type) != NULL);
			CHECK(f->type == ENTITY_INT ||
			      (f->type == ENTITY_CHOICE ||
			       f->type == ENTITY_REFERENCE) == !!f->words);
			if (f->type == ENTITY_INT && f->words)
				CHECK(strstr(f->words, "..") != NULL);
			if (f->type == ENTITY_REFERENCE)
				CHECK(entity_find(f->words) != NULL);
			if (f->type == ENTITY_CIDRS)
				CHECK(f->check != NULL);
		}
	}
	CHECK(entity_find("nothing") == NULL);
	CHECK_STR(entity_field_suggest(entity_find("user"), "full_nam"),
		  "full_name");
	CHECK(!entity_field_suggest(entity_find("user"), "zzzzzzzzzzzz"));
}

int
main(void)
{
	test_keys();
	test_long_key();
	test_values();
	test_table();
	return unit_end();
}
