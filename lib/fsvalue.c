#include "fsvalue.h"

#include <string.h>

static bool
made_of(const char *s, const char *others)
{
	for (; *s; s++)
		if (!((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
		      (*s >= 'A' && *s <= 'Z') || strchr(others, *s)))
			return false;
	return true;
}

/* An argument that begins with "-" is an option of some applications. */
bool
fsvalue_is_number(const char *number)
{
	return number && *number && *number != '-' && strlen(number) <= 64 &&
	       made_of(number, "_.+*#-");
}

static bool
has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
fsvalue_is_sound(const char *sound)
{
	static const char *const schemes[] = { "local_stream://",
					       "tone_stream://",
					       "silence_stream://" };

	if (!sound || !*sound || strlen(sound) > 255)
		return false;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (has_prefix(sound, schemes[i]))
			return made_of(sound + strlen(schemes[i]),
				       "/_.-%(),;=+*");
	return *sound != '-' && !strstr(sound, "..") && made_of(sound, "/_.-");
}

void
fsvalue_recording(struct buf *out, const struct fs_settings *s,
		  const char *domain)
{
	buf_printf(out, "%s/%s/${strftime(%%Y/%%m/%%d)}/${uuid}.wav",
		   s->recordings, domain);
}

void
fsvalue_file(struct fsxml *x, struct buf *out, const struct lookup *l,
	     const char *name)
{
	if (l->is_part)
		fsxml_begin_part(x, out);
	else
		fsxml_begin(x, out, "configuration");
	fsxml_open(x, "configuration");
	fsxml_name(x, name);
}

void
fsvalue_expanded(struct fsxml *x, const char *name, const char *value)
{
	fsxml_open(x, "param");
	fsxml_name(x, name);
	fsxml_expanded(x, "value", value);
	fsxml_close(x);
}

void
fsvalue_name(struct fsxml *x, const char *attribute, const char *prefix,
	     const char *name, const char *domain)
{
	struct buf text = BUF_INIT;

	buf_puts(&text, prefix);
	lookup_put_name(&text, name, '@', domain);
	fsxml_attr(x, attribute, text.data);
	if (buf_failed(&text))
		x->out->failed = true;
	buf_release(&text);
}

bool
fsvalue_ask(struct question *q, struct lookup *l, const struct fs_settings *s)
{
	(void)s;
	q->nparams = 2;
	q->params[0] = DB_TEXT(q->domain);
	q->params[1] = DB_TEXT(l->name);
	return true;
}

void
fsvalue_param(struct fsxml *x, const char *name, const char *value)
{
	fsxml_item(x, "param", name, value);
}
