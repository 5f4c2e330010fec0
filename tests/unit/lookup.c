/* lookup: which field counts, and what is refused. */

#include "unit.h"

#include "lookup.h"

#define FIVE "hostname=fs&section=directory&tag_name=domain&key_name=name"
#define D    "pbx.example.com"
#define CONF                                           \
	"section=configuration&tag_name=configuration" \
	"&key_name=name&key_value="

static const struct {
	const char *path; /* the section of the path, or NULL */
	const char *form;
	enum lookup_what what;
	const char *domain;
	const char *user; /* or group, or name */
	bool refused;
} testv[] = {
	{ NULL,
	  FIVE "&key_value=" D "&action=sip_auth&key=id&user=1001&domain=" D,
	  LOOKUP_USER, D, "1001", false },
	{ NULL, FIVE "&key_value=" D "&action=user_call&user=1001&domain=" D,
	  LOOKUP_USER, D, "1001", false },
	{ NULL, FIVE "&key_value=" D "&action=message-count&user=1&domain=" D,
	  LOOKUP_USER, D, "1", false },
	{ NULL,
	  FIVE "&key_value=" D "&action=voicemail-lookup&user=1&domain=" D,
	  LOOKUP_MAILBOX, D, "1", false },
	{ NULL,
	  FIVE "&key_value=" D "&action=reverse-auth-lookup&user=1&domain=" D,
	  LOOKUP_USER, D, "1", false },
	{ NULL, FIVE "&key_value=" D "&user=1001&domain=" D, LOOKUP_USER, D,
	  "1001", false },
	{ NULL, FIVE "&key_value=" D "&purpose=publish-vm&user=1&domain=" D,
	  LOOKUP_MAILBOX, D, "1", false },
	{ NULL, FIVE "&key_value=" D "&domain=" D, LOOKUP_DOMAIN, D, "",
	  false },
	{ NULL, FIVE "&key_value=" D, LOOKUP_DOMAIN, D, "", false },
	{ NULL, FIVE "&key_value=" D "&purpose=network-list&domain=" D,
	  LOOKUP_NETWORKS, D, "", false },
	{ NULL,
	  "hostname=fs&section=directory&tag_name=&key_name=&key_value="
	  "&purpose=gateways&profile=internal",
	  LOOKUP_GATEWAYS, "", "", false },
	{ NULL, FIVE "&key_value=" D "&purpose=gateways&profile=internal",
	  LOOKUP_GATEWAYS, D, "", false },
	{ NULL,
	  FIVE "&key_value=" D "&action=group_call&group=sales"
	       "&group_name=sales&domain=" D,
	  LOOKUP_GROUP, D, "sales", false },
	{ NULL, FIVE "&key_value=" D "&action=group_call&group_name=a%20b",
	  LOOKUP_GROUP, D, "a b", false },
	{ NULL,
	  FIVE "&key_value=" D "&action=group_call&group=sales&user=1001"
	       "&key=id&domain=" D,
	  LOOKUP_USER, D, "1001", false },
	{ NULL, FIVE "&key_value=" D "&group_name=sales&domain=" D,
	  LOOKUP_GROUP, D, "sales", false },
	/* the last occurrence counts, but for the first five fields */
	{ NULL, FIVE "&key_value=" D "&user=1002&action=sip_auth&user=1001",
	  LOOKUP_USER, D, "1001", false },
	{ NULL,
	  FIVE "&key_value=" D "&key_value=b.example&section=dialplan"
	       "&tag_name=x&user=1001",
	  LOOKUP_USER, D, "1001", false },
	/* action before purpose */
	{ NULL,
	  FIVE "&key_value=" D "&purpose=gateways&action=sip_auth&user=1001"
	       "&domain=" D,
	  LOOKUP_USER, D, "1001", false },
	/* what a phone can put into its realm */
	{ NULL,
	  FIVE "&key_value=x.example&purpose=gateways&user=1002"
	       "&action=sip_auth&user=1001"
	       "&domain=x.example%26purpose%3Dgateways%26user%3D1002",
	  LOOKUP_UNKNOWN, "x.example", "1001", true },
	{ NULL,
	  FIVE "&key_value=" D "&domain=" D "&user=1002&action=sip_auth"
	       "&user=1001&domain=" D "%26domain%3D" D "%26user%3D1002",
	  LOOKUP_UNKNOWN, D, "1001", true },
	{ NULL,
	  FIVE "&key_value=a.example&action=sip_auth&user=1&domain=b.example",
	  LOOKUP_UNKNOWN, "a.example", "1", true },
	/* a name is compared without regard to case */
	{ NULL, FIVE "&key_value=PBX.example.com&user=1&domain=pbx.EXAMPLE.com",
	  LOOKUP_USER, "PBX.example.com", "1", false },
	{ NULL, FIVE "&key_value=" D "%00&user=1", LOOKUP_UNKNOWN, D, "1",
	  true },
	{ NULL, FIVE "&key_value=" D "&user=1%001", LOOKUP_UNKNOWN, D, "1",
	  true },
	{ NULL,
	  "section=directory&tag_name=user&key_name=name&key_value=" D
	  "&user=1001",
	  LOOKUP_UNKNOWN, D, "1001", true },
	/* names that no row has */
	{ NULL, FIVE "&key_value=" D "&user=10%2701", LOOKUP_UNKNOWN, D,
	  "10'01", false },
	{ NULL, FIVE "&key_value=" D "&user=%E9", LOOKUP_UNKNOWN, D, "\xe9",
	  false },
	{ NULL, FIVE "&key_value=" D "&group=%E9", LOOKUP_UNKNOWN, D, "\xe9",
	  false },
	{ NULL, FIVE "&key_value=a_b&user=1", LOOKUP_UNKNOWN, "a_b", "1",
	  false },
	/* what nobody asks */
	{ NULL, FIVE "&key_value=" D "&action=unheard-of&user=1&domain=" D,
	  LOOKUP_UNKNOWN, D, "1", false },
	{ NULL, FIVE "&key_value=" D "&purpose=unheard-of&domain=" D,
	  LOOKUP_UNKNOWN, D, "", false },
	{ NULL, FIVE "&key_value=&action=sip_auth&user=1", LOOKUP_UNKNOWN, "",
	  "1", false },
	{ NULL, FIVE "&key_value=" D "&action=sip_auth", LOOKUP_UNKNOWN, D, "",
	  false },
	{ NULL, "section=languages&tag_name=language", LOOKUP_UNKNOWN, "", "",
	  false },
	{ NULL,
	  "hostname=fs&section=configuration&tag_name=configuration"
	  "&key_name=name&key_value=acl.conf",
	  LOOKUP_ACL, "", "", false },
	{ NULL, CONF "switch.conf", LOOKUP_UNKNOWN, "", "", false },
	{ NULL, CONF "callcenter.conf", LOOKUP_CALLCENTER, "", "", false },
	{ NULL, CONF "callcenter.conf&CC-Queue=a%20b@" D, LOOKUP_CALLCENTER, D,
	  "a b", false },
	{ NULL, CONF "callcenter.conf&CC-Queue=" D, LOOKUP_UNKNOWN, "", D,
	  false },
	{ NULL, CONF "callcenter.conf&CC-Queue=x@" D "'", LOOKUP_UNKNOWN, D "'",
	  "x", false },
	{ NULL, CONF "ivr.conf&Menu-Name=a@b@" D, LOOKUP_IVR, D, "a@b", false },
	{ NULL, CONF "ivr.conf", LOOKUP_UNKNOWN, "", "", false },
	{ NULL, CONF "conference.conf&profile_name=1_2_" D, LOOKUP_CONFERENCE,
	  D, "1_2", false },
	{ NULL, CONF "conference.conf&Action=request-controls", LOOKUP_UNKNOWN,
	  "", "", false },
	{ NULL,
	  "section=configuration&tag_name=x&key_name=name&key_value=acl.conf",
	  LOOKUP_UNKNOWN, "", "", true },
	{ NULL, "hostname=fs&section=dialplan&tag_name=&key_name=&key_value=",
	  LOOKUP_UNKNOWN, "", "", false },
	/* the form's section counts, the path's only without */
	{ "dialplan", FIVE "&key_value=" D "&user=1", LOOKUP_USER, D, "1",
	  false },
	{ "directory", "user=1001&domain=" D, LOOKUP_USER, D, "1001", false },
};

static void
test_table(void)
{
	for (size_t i = 0; i < COUNT(testv); i++) {
		struct verr e = VERR_INIT;
		struct lookup l;
		int rc = lookup_parse(&l, testv[i].path, testv[i].form,
				      strlen(testv[i].form), &e);

		if (!CHECK(rc == 0) || !CHECK(l.what == testv[i].what) ||
		    !CHECK((l.refused != NULL) == testv[i].refused))
			printf("  %s\n", testv[i].form);
		CHECK_STR(l.domain, testv[i].domain);
		CHECK_STR(*l.user    ? l.user
			  : *l.group ? l.group
				     : l.name,
			  testv[i].user);
		lookup_release(&l);
	}
}

static void
test_no_lookup(void)
{
	static const char *const forms[] = { "", "&&", "hello",
					     "hostname=x&tag_name=y" };
	struct verr e = VERR_INIT;
	struct lookup l;

	for (size_t i = 0; i < COUNT(forms); i++) {
		CHECK(lookup_parse(&l, NULL, forms[i], strlen(forms[i]), &e) ==
		      -1);
		CHECK(e.kind == VERR_INPUT);
		lookup_release(&l);
	}
	CHECK(lookup_parse(&l, "directory", "", 0, &e) == -1);
	lookup_release(&l);
}

static void
test_counters(void)
{
	static const char form[] = FIVE "&key_value=" D "&action=sip_auth"
					"&user=1&domain=" D;
	struct verr e = VERR_INIT;
	struct lookup l;

	CHECK(lookup_parse(&l, NULL, form, strlen(form), &e) == 0);
	lookup_count(&l, LOOKUP_FOUND);
	lookup_count(&l, LOOKUP_UNAVAILABLE);
	CHECK(metric_get(METRIC_LOOKUP_SIP_AUTH_FOUND) == 1);
	CHECK(metric_get(METRIC_LOOKUP_SIP_AUTH_NOT_FOUND) == 0);
	CHECK(metric_get(METRIC_LOOKUP_SIP_AUTH_UNAVAILABLE) == 1);
	lookup_release(&l);
}

static void
no_memory(bool may_fail)
{
	static const char form[] = FIVE "&key_value=" D "&user=1";
	struct verr e = VERR_INIT;
	struct lookup l;

	if (lookup_parse(&l, NULL, form, strlen(form), &e) == -1) {
		CHECK(may_fail);
		CHECK(e.kind == VERR_RETRY);
	}
	lookup_release(&l);
}

int
main(void)
{
	test_table();
	test_no_lookup();
	test_counters();
	CHECK(unit_each_failure(no_memory) > 0);
	return unit_end();
}
