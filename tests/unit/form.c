/* form: pairs in order, escapes, limits. */

#include "unit.h"

#include "form.h"

static const struct {
	const char *data;
	const char *pairs; /* name=value|name=value, decoded */
} testv[] = {
	{ "", "" },
	{ "a=b", "a=b" },
	{ "a=b&c=d&a=e", "a=b|c=d|a=e" },
	{ "a", "a=" },
	{ "a=", "a=" },
	{ "=b", "=b" },
	{ "=", "=" },
	{ "&&a=b&&c=d&&", "a=b|c=d" },
	{ "&", "" },
	{ "a=b=c", "a=b=c" },
	{ "a=%41%6a%6A+%2B", "a=Ajj +" },
	{ "a%3Db=c%26d", "a=b=c&d" },
	{ "a=%", "a=%" },
	{ "a=%4", "a=%4" },
	{ "a=%4g%g4%%41", "a=%4g%g4%A" },
	{ "a=%e9", "a=\xe9" },
	{ "hostname=x&section=directory&tag_name=domain&key_name=name"
	  "&key_value=a.example&action=sip_auth",
	  "hostname=x|section=directory|tag_name=domain|key_name=name"
	  "|key_value=a.example|action=sip_auth" },
};

static void
test_table(void)
{
	for (size_t i = 0; i < COUNT(testv); i++) {
		struct verr e = VERR_INIT;
		struct buf b = BUF_INIT;
		struct form f;

		CHECK(form_parse(&f, testv[i].data, strlen(testv[i].data), 99,
				 &e) == 0);
		for (size_t j = 0; j < f.count; j++) {
			const struct form_pair *p = &f.pairs[j];

			CHECK(strlen(p->name) == p->name_len);
			CHECK(strlen(p->value) == p->value_len);
			buf_printf(&b, "%s%s=%s", j ? "|" : "", p->name,
				   p->value);
		}
		CHECK_STR(b.data, testv[i].pairs);
		buf_release(&b);
		form_release(&f);
	}
}

static void
test_nul_and_lookup(void)
{
	static const char data[] = "user=1&key=%00x&user=2&us=3";
	struct verr e = VERR_INIT;
	struct form f;

	CHECK(form_parse(&f, data, sizeof(data) - 1, 4, &e) == 0);
	CHECK_STR(form_first(&f, "user")->value, "1");
	CHECK_STR(form_last(&f, "user")->value, "2");
	CHECK(form_last(&f, "use") == NULL);
	CHECK(form_first(&f, "User") == NULL);
	CHECK_BYTES(form_first(&f, "key")->value,
		    form_first(&f, "key")->value_len, "\0x", 2);
	form_release(&f);
}

static void
test_limit(void)
{
	struct verr e = VERR_INIT;
	struct form f;

	CHECK(form_parse(&f, "a&b&c", 5, 3, &e) == 0 && f.count == 3);
	form_release(&f);
	CHECK(form_parse(&f, "&a&b&c&", 7, 3, &e) == 0 && f.count == 3);
	form_release(&f);
	CHECK(form_parse(&f, "a&b&c&d", 7, 3, &e) == -1);
	CHECK(e.kind == VERR_INPUT && f.count == 0 && !f.pairs);
	CHECK_STR(e.msg, "form has more than 3 fields");
	form_release(&f);
	CHECK(form_parse(&f, "a", 1, 0, &e) == -1);
	form_release(&f);
}

static void
test_encode(void)
{
	struct buf b = BUF_INIT, back = BUF_INIT;
	char all[256];

	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	form_encode(&b, "aZ09-._~ +%&=/\xe9", 15);
	CHECK_STR(b.data, "aZ09-._~%20%2B%25%26%3D%2F%E9");
	buf_clear(&b);
	form_encode(&b, all, sizeof(all));
	form_decode(&back, b.data, b.len, true);
	CHECK_BYTES(back.data, back.len, all, sizeof(all));
	buf_clear(&back);
	form_decode(&back, "a+b", 3, false);
	CHECK_STR(back.data, "a+b");
	buf_release(&b);
	buf_release(&back);
}

static void
parse_and_decode(bool may_fail)
{
	struct verr e = VERR_INIT;
	struct buf b = BUF_INIT;
	struct form f;

	if (form_parse(&f, "a=%41&b=2", 9, 10, &e) == -1)
		CHECK(may_fail && e.kind == VERR_RETRY && !f.storage);
	else
		CHECK_STR(form_first(&f, "a")->value, "A");
	form_decode(&b, "%41", 3, true);
	CHECK(buf_failed(&b) ? may_fail && b.len == 0
			     : strcmp(b.data, "A") == 0);
	form_release(&f);
	buf_release(&b);
}

int
main(void)
{
	test_table();
	test_nul_and_lookup();
	test_limit();
	test_encode();
	CHECK(unit_each_failure(parse_and_decode) == 3);
	return unit_end();
}
