/*
 * fs-preprocess [--part] [DOMAIN USER] <DOCUMENT: what FreeSWITCH's parser gets
 * to see of an answer; with DOMAIN and USER, which user it finds there, and
 * the params and variables that this user has or takes over from the domain.
 * With --part the document is a file of <include>, wrapped in <all>.
 *
 * Status 1 when its pre-processor would have dropped, replaced or run anything
 * but the XML declaration (or the two lines of <include>), when what is left
 * is not well-formed, or when it would take not exactly one user for this one.
 */

#include <stdio.h>

#include "../unit/fsmodel.h"
#include "../unit/fsparse.h"

static void
print_items(const struct fsnode *domain, const struct fsnode *user,
	    const char *list, const char *item)
{
	const struct fsnode *lists[] = {
		fsnode_child(user, list, NULL, NULL),
		fsnode_child(domain, list, NULL, NULL),
	};

	for (int i = 0; i < 2; i++)
		for (const struct fsnode *n = lists[i] ? lists[i]->child : NULL;
		     n; n = n->next) {
			const char *name = fsnode_attribute(n, "name");

			if (i == 1 && fsnode_value(user, list, item, name))
				continue;
			printf("%s %s %s\n", item, name,
			       fsnode_attribute(n, "value"));
		}
}

static bool
print_user(const struct fsnode *root, const char *name, const char *wanted)
{
	const struct fsnode *user = NULL,
			    *domain = fsnode_child(fsnode_child(root, "section",
								"name",
								"directory"),
						   "domain", "name", name);

	if (fsnode_users(domain, wanted, &user) != 1)
		return false;
	printf("user %s\n", fsnode_attribute(user, "id"));
	print_items(domain, user, "params", "param");
	print_items(domain, user, "variables", "variable");
	return true;
}

int
main(int argc, char **argv)
{
	struct buf in = BUF_INIT, out = BUF_INIT;
	bool part = argc > 1 && strcmp(argv[1], "--part") == 0, safe;
	struct fsnode *root;
	struct fsmodel m;
	char bytes[4096];
	size_t n;

	argc -= part;
	argv += part;
	while ((n = fread(bytes, 1, sizeof(bytes), stdin)) > 0)
		buf_add(&in, bytes, n);
	buf_puts(&out, part ? "<all>\n" : "");
	m = fsmodel_preprocess(&out, in.data, in.len);
	buf_puts(&out, part ? "</all>\n" : "");
	safe = m.dropped == (part ? 2 : 1) && !m.obeyed && !m.replaced;
	root = fsparse(out.data);
	if (!safe || !root)
		fprintf(stderr, "dropped %u, obeyed %u, replaced %u%s\n",
			m.dropped, m.obeyed, m.replaced,
			root ? "" : "; not well-formed");
	safe = safe && root;
	if (argc == 3)
		safe = safe && print_user(root, argv[1], argv[2]);
	else
		fwrite(out.data, 1, out.len, stdout);
	fsnode_free(root);
	buf_release(&in);
	buf_release(&out);
	return safe ? 0 : 1;
}
