/*
 * fsxml: any value comes back from libxml2's parser, behind a model of
 * FreeSWITCH's pre-processor, as it was put in.
 */

#include "unit.h"

#include <libxml/parser.h>

#include "fsmodel.h"
#include "fsxml.h"

/* What comes back: as it is, and where FreeSWITCH may expand it (NULL: same).
 */
static const struct {
	const char *value;
	const char *exact;
	const char *plain;
} testv[] = {
	{ "", NULL, NULL },
	{ "Alice Liddell", NULL, NULL },
	{ "a & b < c > d \" e ' f", NULL, NULL },
	{ "]]>", NULL, NULL },
	{ "<![CDATA[x]]>", NULL, NULL },
	{ "<!-- x -->", NULL, NULL },
	{ "<!--#exec \"id\"-->", NULL, NULL },
	{ "<?xml version=\"1.0\"?>", NULL, NULL },
	{ "<include>", NULL, NULL },
	{ "</include>", NULL, NULL },
	{ "<X-PRE-PROCESS cmd=\"exec\" data=\"id\"/>", NULL, NULL },
	{ "x-pre-process", NULL, NULL },
	{ "X-Pre-Process", NULL, NULL },
	{ "xX--xx-x-pre-processX-", NULL, NULL },
	{ "&lt;&#36;&amp;amp;", NULL, NULL },
	{ "$", NULL, NULL },
	{ "$$", NULL, NULL },
	{ "price $5, $ {x}", NULL, NULL },
	{ "${x}", NULL, "%{x}" },
	{ "$${x}", NULL, "$%{x}" },
	{ "$$${x}", NULL, "$$%{x}" },
	{ "$\\{x}", NULL, "%\\{x}" },
	{ "$\\\\\\{x}", NULL, "%\\\\\\{x}" },
	{ "\\${x}", NULL, "\\%{x}" },
	{ "${system(id)}", NULL, "%{system(id)}" },
	{ "a${b${c}}d", NULL, "a%{b%{c}}d" },
	{ "&<>\"'$${}", NULL, NULL },
	{ "${}${}x", NULL, NULL },
	{ "${${}}", NULL, "%{${}}" },
	{ "$${}{system(id)}", NULL, "$%{}{system(id)}" },
	{ "$${}${}\\{x}", NULL, "$${}%{}\\{x}" },
	{ "$\\{}", NULL, "%\\{}" },
	{ "line\nline\r\nline\ttab", NULL, NULL },
	{ " leading and trailing ", NULL, NULL },
	{ "\xc5\xbdlu\xc5\xa5ou\xc4\x8dk\xc3\xbd", NULL, NULL },
	{ "\xf0\x9f\x93\x9e\xf0\x9f\x8f\xb4", NULL, NULL },
	{ "caf\xe9", "caf\xc3\xa9", "caf\xc3\xa9" },
	{ "\xff\xfe", "\xc3\xbf\xc3\xbe", "\xc3\xbf\xc3\xbe" },
	{ "cut \xe2\x82", "cut \xc3\xa2\xc2\x82", "cut \xc3\xa2\xc2\x82" },
	{ "a\x01"
	  "b\x1f",
	  "a\xef\xbf\xbd"
	  "b\xef\xbf\xbd",
	  "a\xef\xbf\xbd"
	  "b\xef\xbf\xbd" },
	{ "\xef\xbf\xbe\xef\xbf\xbf", "\xef\xbf\xbd\xef\xbf\xbd",
	  "\xef\xbf\xbd\xef\xbf\xbd" },
	{ "del \x7f c1 \xc2\x85", NULL, NULL },
};

static void
write_document(struct buf *out, const char *value)
{
	struct fsxml x;

	fsxml_begin(&x, out, "directory");
	fsxml_open(&x, "before");
	fsxml_close(&x);
	fsxml_open(&x, "user");
	fsxml_attr(&x, "exact", value);
	fsxml_plain(&x, "plain", value);
	fsxml_open(&x, "params");
	fsxml_item(&x, "param", "left-out", NULL);
	fsxml_item(&x, "param", "p", value);
	fsxml_end(&x);
}

static xmlNode *
child(xmlNode *node, const char *name)
{
	for (node = node ? node->children : NULL; node; node = node->next)
		if (node->type == XML_ELEMENT_NODE &&
		    strcmp((const char *)node->name, name) == 0)
			return node;
	return NULL;
}

static void
check_attribute(xmlNode *node, const char *name, const char *want)
{
	xmlChar *got;

	if (!CHECK(node))
		return;
	got = xmlGetProp(node, (const xmlChar *)name);
	if (CHECK(got))
		CHECK_STR((const char *)got, want);
	xmlFree(got);
}

static void
test_values(void)
{
	for (size_t i = 0; i < COUNT(testv); i++) {
		struct buf b = BUF_INIT, seen = BUF_INIT;
		const char *value = testv[i].value;
		const char *exact = testv[i].exact ? testv[i].exact : value;
		const char *plain = testv[i].plain ? testv[i].plain : value;
		struct fsmodel m;
		xmlNode *section, *user;
		xmlDoc *doc;

		write_document(&b, value);
		m = fsmodel_preprocess(&seen, b.data, b.len);
		if (!CHECK(fsmodel_is_safe(&m)))
			printf("%s", b.data);
		doc = xmlReadMemory(seen.data, (int)seen.len, NULL, NULL, 0);
		if (CHECK(doc)) {
			section = xmlDocGetRootElement(doc);
			section = child(section, "section");
			user = child(section, "user");
			check_attribute(section, "name", "directory");
			CHECK(child(section, "before"));
			check_attribute(user, "exact", exact);
			check_attribute(user, "plain", plain);
			check_attribute(child(child(user, "params"), "param"),
					"value", plain);
		}
		xmlFreeDoc(doc);
		buf_release(&b);
		buf_release(&seen);
	}
}

static void
test_text(void)
{
	struct buf b = BUF_INIT;
	struct fsxml x;

	fsxml_begin(&x, &b, "directory");
	fsxml_open(&x, "domain");
	fsxml_attr(&x, "name", "a");
	fsxml_open(&x, "params");
	fsxml_open(&x, "param");
	fsxml_expanded(&x, "value", "{a=b}${c}$${d}");
	fsxml_end(&x);
	CHECK_STR(b.data, "<?xml version=\"1.0\" encoding=\"UTF-8\" "
			  "standalone=\"no\"?>\n"
			  "<document type=\"freeswitch/xml\">\n"
			  "  <section name=\"directory\">\n"
			  "    <domain name=\"a\">\n"
			  "      <params>\n"
			  "        <param value=\"{a=b}${c}&#36;${d}\"/>\n"
			  "      </params>\n"
			  "    </domain>\n"
			  "  </section>\n"
			  "</document>\n");
	buf_release(&b);
	CHECK(strlen(fsxml_not_found) == fsxml_not_found_len);
}

static void
no_memory(bool may_fail)
{
	struct buf b = BUF_INIT;

	write_document(&b, "a value that needs room: ${x} & \xe9 <y>");
	CHECK(may_fail || !buf_failed(&b));
	buf_release(&b);
}

/* Each of the 256 bytes, and each pair with a byte that means something. */
static void
test_bytes(void)
{
	static const char partners[] = "$-<>&\"x{\\\xc3\xef";

	for (unsigned c = 1; c < 256; c++)
		for (size_t p = 0; p < sizeof(partners); p++) {
			char value[] = { (char)c, partners[p], (char)c, '{',
					 '\0' };
			struct buf b = BUF_INIT, seen = BUF_INIT;
			struct fsmodel m;
			xmlDoc *doc;

			write_document(&b, value);
			m = fsmodel_preprocess(&seen, b.data, b.len);
			CHECK(fsmodel_is_safe(&m));
			doc = xmlReadMemory(b.data, (int)b.len, NULL, NULL, 0);
			CHECK(doc);
			xmlFreeDoc(doc);
			buf_release(&b);
			buf_release(&seen);
		}
}

int
main(void)
{
	test_values();
	test_text();
	test_bytes();
	CHECK(unit_each_failure(no_memory) > 0);
	xmlCleanupParser();
	return unit_end();
}
