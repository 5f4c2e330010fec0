/* directory: what each question asks, and what a user's answer looks like. */

#include "unit.h"

#include "directory.h"
#include "fsxml.h"

#define D "pbx.example.com"

static struct fs_settings
settings(bool at_freeswitch, long cacheable_ms)
{
	struct fs_settings s;
	struct verr e = VERR_INIT;

	CHECK(fs_settings_set(&s, at_freeswitch, "192.0.2.1:5060", "default",
			      cacheable_ms, &e) == 0);
	return s;
}

static const struct directory_user alice = {
	.username = "alice",
	.number = "2001",
	.ha1 = "00112233445566778899aabbccddeeff",
	.full_name = "Alice \"${system(id)}\" <X-PRE-PROCESS>",
	.accountcode = "acct-1",
	.toll_allow = "local",
	.user_context = NULL,
	.outbound_number = "+420123456789",
	.auth_acl = "192.0.2.0/24",
	.user_agent_filter = "lab-ua",
	.max_registrations = "2",
	.forbid_register = "f",
};

static void
test_user(void)
{
	struct fs_settings s = settings(false, 0);
	struct buf b = BUF_INIT;

	directory_user_document(&b, "PBX.example.com", "alice", &alice, &s);
	CHECK_STR(b.data,
		  "<?xml version=\"1.0\" encoding=\"UTF-8\" "
		  "standalone=\"no\"?>\n"
		  "<document type=\"freeswitch/xml\">\n"
		  "  <section name=\"directory\">\n"
		  "    <domain name=\"PBX.example.com\">\n"
		  "      <params>\n"
		  "        <param name=\"dial-string\" "
		  "value=\"{^^:sip_invite_domain=${dialed_domain}:presence_id="
		  "${dialed_user}@${dialed_domain}}sofia/internal/"
		  "${dialed_user}@${dialed_domain};"
		  "fs_path=sip:192.0.2.1:5060\"/>\n"
		  "      </params>\n"
		  "      <users>\n"
		  "        <user id=\"alice\" number-alias=\"2001\">\n"
		  "          <params>\n"
		  "            <param name=\"a1-hash\" "
		  "value=\"00112233445566778899aabbccddeeff\"/>\n"
		  "            <param name=\"auth-acl\" "
		  "value=\"192.0.2.0/24\"/>\n"
		  "            <param name=\"user-agent-filter\" "
		  "value=\"lab-ua\"/>\n"
		  "            <param name=\"max-registrations-per-extension\" "
		  "value=\"2\"/>\n"
		  "          </params>\n"
		  "          <variables>\n"
		  "            <variable name=\"user_context\" "
		  "value=\"default\"/>\n"
		  "            <variable name=\"accountcode\" "
		  "value=\"acct-1\"/>\n"
		  "            <variable name=\"toll_allow\" "
		  "value=\"local\"/>\n"
		  "            <variable name=\"effective_caller_id_name\" "
		  "value=\"Alice &quot;%{system(id)}&quot; "
		  "&lt;X&#45;PRE-PROCESS&gt;\"/>\n"
		  "            <variable name=\"effective_caller_id_number\" "
		  "value=\"2001\"/>\n"
		  "            <variable name=\"outbound_caller_id_number\" "
		  "value=\"+420123456789\"/>\n"
		  "          </variables>\n"
		  "        </user>\n"
		  "      </users>\n"
		  "    </domain>\n"
		  "  </section>\n"
		  "</document>\n");
	buf_release(&b);
}

static bool
answer_has(const struct directory_user *u, const char *asked,
	   const struct fs_settings *s, const char *text)
{
	struct buf b = BUF_INIT;
	bool has;

	directory_user_document(&b, D, asked, u, s);
	has = strstr(b.data, text);
	buf_release(&b);
	return has;
}

/* Asked by a number, the call still goes to the name that registered. */
static void
test_alias(void)
{
	struct fs_settings s = settings(false, 0);
	struct directory_user u = alice;

	CHECK(answer_has(&u, "3001", &s,
			 "<user id=\"alice\" number-alias=\"3001\">"));
	CHECK(answer_has(
		&u, "3001", &s,
		"presence_id=alice@${dialed_domain}}sofia/internal/"
		"alice@${dialed_domain};fs_path=sip:192.0.2.1:5060\""));
	CHECK(answer_has(&u, "3001", &s,
			 "\"effective_caller_id_number\" value=\"2001\""));
	u.number = "alice";
	CHECK(answer_has(&u, "alice", &s, "<user id=\"alice\">"));
	u.number = NULL;
	CHECK(answer_has(&u, "alice", &s, "<user id=\"alice\">"));
	CHECK(answer_has(&u, "alice", &s,
			 "\"effective_caller_id_number\" value=\"alice\""));
}

static void
test_rules(void)
{
	struct fs_settings s = settings(false, 60000);
	struct directory_user u = { .username = "1001" };

	CHECK(answer_has(&u, "1001", &s,
			 "<user id=\"1001\" cacheable=\"60000\">"));
	CHECK(answer_has(&u, "1001", &s,
			 "\"allow-empty-password\" "
			 "value=\"false\""));
	CHECK(!answer_has(&u, "1001", &s, "a1-hash"));
	CHECK(!answer_has(&u, "1001", &s, "sip-forbid-register"));
	CHECK(!answer_has(&u, "1001", &s, "type=\"pointer\""));
	u.forbid_register = "t";
	u.reverse_auth_user = "fs";
	u.reverse_auth_pass = "${p}&-x-\"";
	u.user_context = "tenant-a";
	u.caller_id_name = "Reception";
	CHECK(answer_has(&u, "1001", &s,
			 "\"sip-forbid-register\" "
			 "value=\"true\""));
	CHECK(answer_has(&u, "1001", &s,
			 "\"reverse-auth-pass\" "
			 "value=\"&#36;{p}&amp;-x-&quot;"
			 "\""));
	CHECK(answer_has(&u, "1001", &s,
			 "\"user_context\" "
			 "value=\"tenant-a\""));
	CHECK(answer_has(&u, "1001", &s,
			 "\"effective_caller_id_name\" "
			 "value=\"Reception\""));
	s = settings(true, 0);
	CHECK(answer_has(&u, "1001", &s,
			 "${sofia_contact(*/${dialed_user}@"
			 "${dialed_domain})}\""));
	CHECK(answer_has(&u, "3001", &s,
			 "${sofia_contact(*/1001@${dialed_domain})}\""));
	CHECK(!answer_has(&u, "1001", &s, "cacheable"));
}

static void
test_settings(void)
{
	static const char *const wrong[] = { "${x}", "a,b", "a b", "a}",
					     "a|b" };
	struct fs_settings s;
	char long_text[400];
	struct verr e;

	for (size_t i = 0; i < COUNT(wrong); i++) {
		e = VERR_INIT;
		CHECK(fs_settings_set(&s, false, wrong[i], "default", 0, &e) ==
		      -1);
		CHECK(e.kind == VERR_CONFIG);
	}
	memset(long_text, 'a', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	CHECK(fs_settings_set(&s, false, long_text, "x", 0, &e) == -1);
	CHECK(fs_settings_set(&s, false, "a:1", long_text, 0, &e) == -1);
}

static void
test_questions(void)
{
	static const char form[] =
		"section=directory&key_value=PBX.Example.com&user=1001";
	struct fs_settings s = settings(false, 0);
	struct question q;
	struct verr e = VERR_INIT;
	struct lookup l;

	CHECK(lookup_parse(&l, NULL, form, strlen(form), &e) == 0);
	answer_question(&q, &l, &s);
	CHECK(q.sql && q.nparams == 2);
	CHECK_STR(q.params[0].value, D);
	CHECK_STR(q.params[1].value, "1001");
	lookup_release(&l);
}

static void
no_memory(bool may_fail)
{
	struct fs_settings s = settings(false, 0);
	struct buf b = BUF_INIT;

	directory_user_document(&b, D, "alice", &alice, &s);
	CHECK(may_fail || !buf_failed(&b));
	buf_release(&b);
}

int
main(void)
{
	test_user();
	test_alias();
	test_rules();
	test_settings();
	test_questions();
	CHECK(unit_each_failure(no_memory) > 0);
	return unit_end();
}
