#include "queue/scripts.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

/* When Redis is out of memory, what takes jobs out of it must still run. */
#define DRAINS "#!lua flags=allow-oom\n"

/* clang-format off */
#define FENCE                                                                                      \
	DRAINS                                                                                     \
	"local c,k,a=redis.call,KEYS,ARGV "                                                        \
	"if c('LLEN',k[1])<tonumber(a[1]) then "                                                   \
	"return redis.error_reply('LOST the in-flight list is shorter than what is held') end "

/*
 * Stores a result unless a better one is there: SUCCESS stays (as Celery's backend does), and what is
 * not final never replaces what is.  `is_final` false or absent.  A document begins with its status.
 */
#define PUT                                                                                        \
	"local function put(key,doc,ttl,is_final) "                                                \
	"local v=redis.pcall('GETRANGE',key,0,31) "                                                \
	"local s=type(v)=='string' and string.match(v,'^{\"status\": \"(%u+)\"') "                 \
	"if s=='SUCCESS' or (not is_final and (s=='FAILURE' or s=='REVOKED')) then return 0 end "  \
	"redis.call('SET',key,doc,'EX',ttl) redis.call('PUBLISH',key,doc) return 1 end "

/* The end of a job: all but what follows it. */
#define END                                                                                        \
	"if a[11]~='' then "                                                                       \
	"c('ZADD',k[7],a[13],a[11]) "                                                              \
	"c('HSET',k[8],a[11],a[12],a[11]..':raw',c('LINDEX',k[1],a[2])) end "                      \
	"c('LSET',k[1],a[2],'') "                                                                  \
	"if a[4]~='' then c('HDEL',k[2],a[3]) end "                                                \
	"if a[5]~='' then c('SET',k[3],a[5],'EX',a[7]) end "                                       \
	"if a[6]~='' then c('SET',k[4],a[6],'EX',a[7]) end "                                       \
	"if a[8]~='' then put(k[5],a[8],a[9],true) end "                                           \
	"if a[10]~='' then c('HDEL',k[6],a[3],a[3]..':alone',a[3]..':in') end "

/*
 * Effects: keys from k[ko] on, kind, when and payload from a[ao] on.  One that checks fails the
 * whole before anything was done.
 */
#define EFFECTS                                                                                    \
	"local function holds(k,ko,a,ao,n) "                                                       \
	"for i=0,n-1 do if a[ao+3*i]=='c' and redis.call('GET',k[ko+i])~=a[ao+3*i+2] then "        \
	"return false end end return true end "                                                    \
	"local function effect(k,ko,a,ao,n,ttl) local c=redis.call "                               \
	"for i=0,n-1 do local kind,w,p,key=a[ao+3*i],a[ao+3*i+1],a[ao+3*i+2],k[ko+i] "             \
	"if kind=='p' then c('LPUSH',key,p) elseif kind=='l' then c('ZADD',key,w,p) "              \
	"elseif kind=='r' then put(key,p,ttl,true) "                                               \
	"elseif kind=='s' then c('SET',key,p,'EX',w) "                                             \
	"elseif kind=='d' then c('DEL',key) end end end "

/*
 * Counts a part of a chord, once, as Celery 5.7 does and beside it: `.d` says which are counted, `.c`
 * who publishes the body.  A list in `.j` is a Python worker's with result_chord_ordered off.  Keys
 * from k[o] on: j t s d c group; arguments from a[b] on: group member score mark token claim size list.
 * nil: counted, and there is nothing to do.  Effects of the kind 'm' are further parts of the same
 * chord, counted with it; k, a and n from ko and ao on are the effects.
 */
#define COUNT                                                                                      \
	"local function count(k,o,a,b,ttl,ko,ao,n) local c=redis.call "                            \
	"local j,t,s,d,cl=k[o],k[o+1],k[o+2],k[o+3],k[o+4] "                                       \
	"local holder=c('GET',cl) if holder=='done' then return nil end "                          \
	"local kind=c('TYPE',j).ok "                                                               \
	"local list=kind=='list' or (kind=='none' and a[b+7]~='') "                                \
	"local function add(mark,score,member) if c('SADD',d,mark)==1 then "                       \
	"if list then c('RPUSH',j,member) else c('ZADD',j,score,member) end end end "              \
	"for i=0,n-1 do local p=a[ao+3*i+2] if a[ao+3*i]=='m' and k[ko+i]==j then "                \
	"local len,at=string.match(p,'^(%d+):()') "                                                \
	"add(string.sub(p,at,at+len-1),a[ao+3*i+1],string.sub(p,at+len)) end end "                 \
	"add(a[b+3],a[b+2],a[b+1]) "                                                               \
	"local n=list and c('LLEN',j) or c('ZCARD',j) "                                            \
	"if a[b+6]~='' then c('SET',s,a[b+6],'NX','EX',ttl) end "                                  \
	"for i=0,5 do if i~=4 then c('EXPIRE',k[o+i],ttl) end end "                                \
	"local size=c('GET',s) "                                                                   \
	"if not size or n<tonumber(size)+tonumber(c('GET',t) or 0) then return nil end "           \
	"if holder==a[b+4] or c('SET',cl,a[b+4],'NX','EX',a[b+5]) then "                           \
	"return {1,0,list and 1 or 0} end "                                                        \
	"return {0,c('PTTL',cl),0} end "

#define NOW "local t=c('TIME') local now=t[1]*1000+math.floor(t[2]/1000) "

static const char *const texts[LANE_SCRIPTS] = {
	[SCRIPT_RESULTS] = FENCE PUT
	"for i=2,#k do "
	"c('LSET',k[1],a[2*i-1],'') "
	"put(k[i],a[2*i],a[2],true) "
	"end return 1",

	[SCRIPT_END] = FENCE PUT END
	"return 1",

	[SCRIPT_STEP] = FENCE PUT EFFECTS COUNT
	"local n=tonumber(a[14]) "
	"if not holds(k,15,a,23,n) then return {-1,0,0} end "
	"if a[15]~='' then local open=count(k,9,a,15,a[9],15,23,n) "
	"if open then if a[8]~='' then put(k[5],a[8],a[9],true) end return open end end "
	END
	"effect(k,15,a,23,n,a[9]) "
	"return 1",

	[SCRIPT_SCHEDULE] = FENCE PUT NOW
	"local due=tonumber(a[4]) if a[3]=='in' then due=due+now end "
	"c('ZADD',k[2],due,a[5]) "
	"c('LSET',k[1],a[2],'') "
	"if a[6]~='' then put(k[3],a[6],a[7]) end "
	"return due-now",

	[SCRIPT_FORWARD] = FENCE
	"c('LPUSH',k[2],c('LINDEX',k[1],a[2])) "
	"c('LSET',k[1],a[2],'') "
	"return 1",

	[SCRIPT_RELEASE] = FENCE
	"c('RPUSH',k[2],c('LINDEX',k[1],a[2])) "
	"c('LSET',k[1],a[2],'') "
	"return 1",

	[SCRIPT_CRASHED] = FENCE
	"c('LSET',k[1],a[2],a[5]) "
	"local d,n=c('HINCRBY',k[2],a[3],1),0 "
	"if a[4]~='' then n=c('HINCRBY',k[2],a[3]..':alone',1) "
	"else n=tonumber(c('HGET',k[2],a[3]..':alone') or 0) end "
	"c('HDEL',k[2],a[3]..':in') "
	"c('EXPIRE',k[2],a[6]) "
	"return {d,n}",

	[SCRIPT_MOVE] = DRAINS
	"local c,k,a,got=redis.call,KEYS,ARGV,{} "
	"c('HSETNX',k[3],a[1],1) "
	"for i=1,tonumber(a[2]) do "
	"local m=c('LMOVE',k[1],k[2],'RIGHT','RIGHT') "
	"if not m then break end got[i]=m end "
	"return got",
};
/* clang-format on */

static char hashes[LANE_SCRIPTS][41];

struct loading {
	void (*on_loaded)(void *arg, int error);
	void *arg;
	unsigned next; /* replies come in order */
	int error;
};

static void on_hash(void *arg, int error, const struct redis_reply *reply)
{
	struct loading *l = arg;
	unsigned i = l->next++;

	if (error < 0)
		l->error = error;
	else if (reply->type != REDIS_TEXT || reply->text.len != sizeof(hashes[i]) - 1)
		l->error = fail(-E_REDIS, "SCRIPT LOAD: %.*s", STR_ARG(reply->text));
	else
		memcpy(hashes[i], reply->text.at, reply->text.len);
	if (l->next < LANE_SCRIPTS)
		return;
	l->on_loaded(l->arg, l->error);
	free(l);
}

int scripts_load(struct redis *redis, void (*on_loaded)(void *, int), void *arg)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct loading *l;
	int r;

	for (int i = 0; i < LANE_SCRIPTS; i++) {
		const struct str words[] = { STR("SCRIPT"), STR("LOAD"), str_c(texts[i]) };

		redis_format(&out, words, ARRAY_SIZE(words));
	}
	l = malloc(sizeof(*l));
	must(l != NULL);
	*l = (struct loading){ .on_loaded = on_loaded, .arg = arg };
	r = redis_send_raw(redis, buf_str(&out), LANE_SCRIPTS, on_hash, l);
	if (r < 0)
		free(l);
	return r;
}

struct str scripts_hash(enum lane_script script)
{
	return str_c(hashes[script]);
}

const char *scripts_text(enum lane_script script)
{
	return texts[script];
}

/* clang-format off */
struct redis_script script_lease = {
	.name = "lease",
	.text = DRAINS
	"if redis.call('TYPE',KEYS[2]).ok=='string' then return 0 end "
	"return redis.call('HINCRBY',KEYS[1],ARGV[1],1)",
};

/* The string that stays behind names the new token, so that asking once more after a lost answer is
 * harmless. It outlives every command that may still lie in the old owner's socket; an owner that
 * was stopped for longer renews its lease before it sends anything (queue/lane.c). */
struct redis_script script_take = {
	.name = "take",
	.text = DRAINS
	"local c,k,a=redis.call,KEYS,ARGV "
	"if a[3]~='' and c('HGET',k[1],a[1])~=a[3] then return -1 end "
	"c('HDEL',k[1],a[1]) "
	"local kind=c('TYPE',k[2]).ok "
	"if kind=='string' then "
	"if c('GET',k[2])~=a[2] then return -2 end "
	"kind=c('TYPE',k[3]).ok "
	"if kind=='string' then return -2 end "
	"if kind=='list' then return c('LLEN',k[3]) end "
	"return 0 end "
	"local n=0 if kind=='list' then n=c('LLEN',k[2]) end "
	"if n>0 or a[3]=='' then c('HSET',k[1],a[2],1) end "
	"if n>0 then c('RENAME',k[2],k[3]) end "
	"c('SET',k[2],a[2],'PX',86400000) "
	"return n",
};

/* The newest goes back first, so that the oldest is the next to be taken. */
struct redis_script script_give_back = {
	.name = "give back",
	.text = DRAINS
	"local c,k,a=redis.call,KEYS,ARGV "
	"local n,back=(#a-2)/2,0 "
	"if c('LLEN',k[1])<n then "
	"return redis.error_reply('LOST the in-flight list is shorter than what was read') end "
	"c('LTRIM',k[1],0,-n-1) "
	"for i=n,1,-1 do local id,m=a[1+2*i],a[2+2*i] "
	"if m~='' then "
	"if id~='' then c('HINCRBY',k[3],id,1) "
	"if c('HGET',k[3],id..':in')==a[1] then "
	"c('HINCRBY',k[3],id..':alone',1) c('HDEL',k[3],id..':in') end end "
	"c('RPUSH',k[2],m) back=back+1 end end "
	"if back>0 then c('EXPIRE',k[3],a[2]) end "
	"return back",
};

struct redis_script script_leave = {
	.name = "leave",
	.text = DRAINS
	"local n=redis.call('LLEN',KEYS[2]) "
	"if n==0 then redis.call('HDEL',KEYS[1],ARGV[1]) "
	"redis.call('SET',KEYS[2],'fenced','PX',60000) end "
	"return n",
};

/* A member is "<step>:<unique>:<message>".  The first due is pushed last: it is the next to be
 * taken. */
struct redis_script script_due = {
	.name = "due",
	.text = DRAINS
	"local c,k,a=redis.call,KEYS,ARGV " NOW
	"local due=c('ZRANGEBYSCORE',k[1],'-inf',now,'LIMIT',0,a[1]) "
	"for i=#due,1,-1 do local m=due[i] "
	"local to=k[2+(tonumber(string.sub(m,1,1)) or 0)] or k[2] "
	"local at=string.find(m,':',3,true) or 0 "
	"c('RPUSH',to,string.sub(m,at+1)) c('ZREM',k[1],m) end "
	"local first=c('ZRANGE',k[1],0,0,'WITHSCORES') "
	"local wait=-1 if first[2] then wait=math.max(0,math.ceil(first[2]-now)) end "
	"return {#due,wait}",
};

struct redis_script script_tell = {
	.name = "tell",
	.text = PUT "return put(KEYS[1],ARGV[1],ARGV[2],ARGV[3]~='')",
};

struct redis_script script_results_step = {
	.name = "results step",
	.text = DRAINS
	"local k,a=KEYS,ARGV " PUT EFFECTS COUNT
	"local n=tonumber(a[3]) "
	"if not holds(k,8,a,12,n) then return {-1,0,0} end "
	"if a[1]~='' then put(k[1],a[1],a[2],true) end "
	"local open=nil if a[4]~='' then open=count(k,2,a,4,a[2],8,12,n) end "
	"if open then return open end "
	"effect(k,8,a,12,n,a[2]) "
	"return 1",
};

/* Brings more in: refused when the memory is full, and the outbox keeps it. */
struct redis_script script_push = {
	.name = "push",
	.text =
	"local c,k,a=redis.call,KEYS,ARGV "
	"if c('EXISTS',k[4])==1 then return 2 end "
	"if c('HSETNX',k[1],a[1],1)==0 then return 0 end "
	"if a[2]=='0' then c('LPUSH',k[2],a[3]) else c('ZADD',k[3],a[2],a[3]) end "
	"return 1",
};
/* clang-format on */
