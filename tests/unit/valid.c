/* valid: what is accepted, and what is said about the rest. */

#include "unit.h"

#include "valid.h"

#define LONG63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	valid_fn check;
	const char *value;
	const char *error; /* NULL: accepted; else how the message starts */
} testv[] = {
	{ valid_domain, "pbx.example.com", NULL },
	{ valid_domain, "localhost", NULL },
	{ valid_domain, "192.0.2.1", NULL },
	{ valid_domain, "xn--bcher-kva.example", NULL },
	{ valid_domain, LONG63 ".example", NULL },
	{ valid_domain, "a" LONG63, "label 'a" LONG63 "' in a domain is" },
	{ valid_domain, "", "domain may not be empty" },
	{ valid_domain, "a%b", "'%' is not allowed in domain 'a%b'\nhint: " },
	{ valid_domain, "A.example", "'A' is not allowed in domain" },
	{ valid_domain, "b\xc3\xbc.example", "'\xc3\xbc' is not allowed in" },
	{ valid_domain, "b\xfc.example",
	  "byte 0xfc is not allowed in domain "
	  "'b\\xfc.example'" },
	{ valid_domain, "a\n", "byte 0x0a is not allowed in domain 'a\\x0a'" },
	{ valid_domain, "a..b", "empty label in domain 'a..b'" },
	{ valid_domain, "a.", "empty label in domain 'a.'" },
	{ valid_domain, "-a", "label '-a' in domain '-a' starts or ends" },
	{ valid_domain, "a.b-", "label 'b-' in domain 'a.b-' starts or ends" },
	{ valid_domain, LONG63 "." LONG63 "." LONG63 "." LONG63,
	  "domain '" LONG63 "." },
	{ valid_username, "1001", NULL },
	{ valid_username, "a_b.c+d*e#f-G", NULL },
	{ valid_username, "", "username may not be empty" },
	{ valid_username, "a b", "' ' is not allowed in username 'a b'" },
	{ valid_username, "a@b", "'@' is not allowed" },
	{ valid_username, "a" LONG63 "b", "username 'a" LONG63 "b' is longer" },
	{ valid_extension, "1001", NULL },
	{ valid_extension, "+49ZXX.", NULL },
	{ valid_extension, "9[15-7]XX.", NULL },
	{ valid_extension, "9[7-5]X", "wrong class at offset 1 in pattern" },
	{ valid_extension, "9[]X", "wrong class at offset 1" },
	{ valid_extension, "9[12", "wrong class at offset 1" },
	{ valid_extension, "9[1-]X", "wrong class at offset 1" },
	{ valid_extension, "9]", "']' is not allowed at offset 1" },
	{ valid_extension, "[1]a", "'a' is not allowed at offset 3" },
	{ valid_extension, "[1].5", "'.' is not allowed at offset 3" },
	{ valid_text, "Andr\xc3\xa9 M\xc3\xbcller", NULL },
	{ valid_text, "", "text may not be empty" },
	{ valid_text, "a\tb", "control character at offset 1 in text" },
	{ valid_text, "\xc2\x9b", "control character at offset 0" },
	{ valid_text, "\xe9", "text '\\xe9' is not valid UTF-8" },
	{ valid_text, LONG63 LONG63 "\xc3\xa9\xc3\xa9", NULL },
	{ valid_text, LONG63 LONG63 "\xc3\xa9\xc3\xa9x", "text '" },
	{ valid_password, "p\xc3\xa4ss w0rd!", NULL },
	{ valid_password, "", "password may not be empty" },
	{ valid_password, "geheim\n",
	  "control character at offset 6 in "
	  "password '********'" },
	{ valid_email, "a@b.example", NULL },
	{ valid_email, "a", "email address 'a' is not NAME@DOMAIN" },
	{ valid_email, "@b", "email address '@b' is not" },
	{ valid_email, "a@", "email address 'a@' is not" },
	{ valid_email, "a@b@c", "email address 'a@b@c' is not" },
	{ valid_email, "a b@c", "space in email address" },
	{ valid_bool, "true", NULL },
	{ valid_bool, "no", NULL },
	{ valid_bool, "2", "'2' is neither true nor false" },
	{ valid_port, "1", NULL },
	{ valid_port, "65535", NULL },
	{ valid_port, "0", "'0' is not a port" },
	{ valid_port, "65536", "'65536' is not a port" },
	{ valid_port, "080", "'080' is not a port" },
	{ valid_port, "80a", "'80a' is not a port" },
	{ valid_port, "", "'' is not a port" },
	{ valid_host, "sip.Example.com", NULL },
	{ valid_host, "_sip.example.com", NULL },
	{ valid_host, "192.0.2.1", NULL },
	{ valid_host, "2001:db8::1", NULL },
	{ valid_host, "[2001:db8::1]", NULL },
	{ valid_host, "[2001:db8::g]", "'[' is not allowed in host" },
	{ valid_host, "a b", "' ' is not allowed in host" },
	{ valid_host, "-a", "host '-a' starts or ends with '-'" },
	{ valid_host, "a.", "host 'a.' starts or ends with '.'" },
	{ valid_host, "", "host may not be empty" },
	{ valid_uuid, "01234567-89ab-CDEF-0123-456789abcdef", NULL },
	{ valid_uuid, "01234567-89ab-cdef-0123-456789abcde", "'0123" },
	{ valid_uuid, "01234567-89ab-cdef-0123-456789abcdefa", "'0123" },
	{ valid_uuid, "01234567_89ab-cdef-0123-456789abcdef", "'0123" },
	{ valid_uuid, "g1234567-89ab-cdef-0123-456789abcdef", "'g123" },
	{ valid_uuid, "", "'' is not a UUID" },
	{ valid_cidr, "192.0.2.1", NULL },
	{ valid_cidr, "192.0.2.0/24", NULL },
	{ valid_cidr, "0.0.0.0/0", NULL },
	{ valid_cidr, "2001:db8::/32", NULL },
	{ valid_cidr, "192.0.2.1/24", "network '192.0.2.1/24' has bits" },
	{ valid_cidr, "192.0.2.0/33", "the mask of network '192.0.2.0/33'" },
	{ valid_cidr, "192.0.2.0/", "the mask of network" },
	{ valid_cidr, "192.0.2.0/-1", "the mask of network" },
	{ valid_cidr, "192.0.2", "'192.0.2' is not an address" },
	{ valid_cidr, "", "'' is not an address" },
	{ valid_json_object, "{\"a\":[1,2]}", NULL },
	{ valid_json_object, "[]", "'[]' is not a JSON object" },
	{ valid_json_object, "{", "'{' is not JSON: " },
	{ valid_json_object, "{\"a\":1,\"a\":2}", "'{\"a\":1,\"a\":2}' is " },
};

int
main(void)
{
	for (size_t i = 0; i < COUNT(testv); i++) {
		const char *want = testv[i].error;
		struct verr e = VERR_INIT;
		int rc = testv[i].check(testv[i].value, &e);

		if (!want)
			CHECK(rc == 0);
		else
			CHECK(rc == -1 && e.kind == VERR_INPUT &&
			      strncmp(e.msg, want, strlen(want)) == 0);
		if (rc == (want ? 0 : -1) ||
		    (want && strncmp(e.msg, want, strlen(want)) != 0))
			printf("  in row %zu, '%s': %s\n", i, testv[i].value,
			       e.msg);
	}
	return unit_end();
}
