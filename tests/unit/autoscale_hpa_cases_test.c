/* Conformance cases of the HPA kinds as JSON: what passes, and what never does. */
#include "t.h"

#include "cli/cases.h"

#include <stdio.h>
#include <string.h>

/* Words that stand for more, in the rows. */
static const struct {
    const char *word, *text;
} more[] = {
    { "@old", "'request_m':[1000,1000],'ready':true,'age_s':null,'phase':'Running',"
              "'deleting':false" },
    { "@pods3", "'pods':[{'name':'p0',@old},{'name':'p1',@old},{'name':'p2',@old}]" },
    { "@metrics3", "'metrics':[{'pod':'p0','usage_m':[300,300]},{'pod':'p1','usage_m':[500,500]},"
                   "{'pod':'p2','usage_m':[700,700]}]" },
    { "@min", "{'stabilization_s':300,'select':'Min','policies':[{'type':'Pods','value':2,"
              "'period_s':60},{'type':'Percent','value':50,'period_s':60}]}" },
    { "@cpu", "'type':'cpu','target_pct'" },
};

static void expand(const char *text, struct pr_buf *out)
{
    for (; *text != '\0'; text++) {
        size_t i = 0;
        while (i < PR_COUNT(more) && strncmp(text, more[i].word, strlen(more[i].word)) != 0)
            i++;
        if (i < PR_COUNT(more)) {
            expand(more[i].text, out);
            text += strlen(more[i].word) - 1;
        } else { /* quotes as ', for the eyes */
            pr_buf_add(out, *text == '\'' ? "\"" : text, 1);
        }
    }
}

/* What differs. */
static const char *differences(const char *kind, const char *text)
{
    static char words[4096];
    struct pr_buf json, diff;
    pr_buf_init(&json, 0);
    expand(text, &json);
    json_error_t where;
    json_t *one = json_loads(json.data, 0, &where);
    if (one == NULL)
        fail_msg("%s: %s at %d: %s", kind, where.text, where.position, json.data);

    pr_buf_init(&diff, 0);
    for (size_t i = 0; i < autoscale_hpa_cases_count; i++)
        if (strcmp(autoscale_hpa_cases[i].name, kind) == 0) {
            pr_buf_str(&diff, ">"); /* what other cases left must not matter */
            autoscale_hpa_cases[i].fn(one, &diff);
        }
    assert_true(diff.len > 0 && !diff.failed);
    (void)snprintf(words, sizeof words, "%s", diff.data + 1);
    pr_buf_done(&diff);
    pr_buf_done(&json);
    json_decref(one);
    return words;
}

/* clang-format off */
static void passes_what_is_right(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *json;
    } row[] = {
        { "resource",
          "{'current':3,'target_pct':30,'container':null,'tolerance_down':0.1,"
          "'tolerance_up':0.1,@pods3,@metrics3,'expect':{'replicas':5,'utilization_pct':50,"
          "'raw_m':1000}}" },
        { "resource",
          "{'current':3,'target_pct':30,'container':'container2',@pods3,'metrics':[{'pod':'p0',"
          "'usage_m':[1000,300]},{'pod':'p1','usage_m':[1000,500]},{'pod':'p2','usage_m':[1000,"
          "700]}],'expect':{'replicas':5,'utilization_pct':50,'raw_m':500}}" },
        { "resource",
          "{'current':3,'target_pct':30,'pods':[{'name':'p0','request_m':[1000,1000],'age_s':0},"
          "{'name':'p1','request_m':[1000,1000],'age_s':180},{'name':'p2','request_m':[1000,"
          "1000],'ready':true}],@metrics3,'expect':{'replicas':4,'utilization_pct':60,"
          "'raw_m':1200}}" },
        { "resource",
          "{'current':2,'target_pct':30,'container':'container2','pods':[{'name':'p0',@old},"
          "{'name':'p1',@old},{'name':'p2','request_m':[1000,1000],'ready':false,"
          "'phase':'Failed'},{'name':'p3','request_m':[1000,1000],'phase':'Succeeded'}],"
          "'metrics':[{'pod':'p0','usage_m':[1000,500]},{'pod':'p1','usage_m':[9000,700]},"
          "{'pod':'p2','usage_m':[1000]},{'pod':'p3','usage_m':[9000,null]}],"
          "'expect':{'replicas':4,'utilization_pct':60,'raw_m':600}}" },
        { "resource",
          "{'current':1,'target_pct':100,'pods':[{'name':'p0',@old}],'metrics':[{'pod':'older',"
          "'usage_m':[100,100]}],'expect':{'error':'no metrics returned matched known pods'}}" },
        { "resource",
          "{'current':4,'target_pct':100,@pods3,'metrics':[],"
          "'expect':{'error':'unable to get metrics for resource cpu: no metrics returned from resource metrics API'}}" },
        { "resource",
          "{'current':1,'target_pct':100,'pods':[{'name':'p0','request_m':[]}],"
          "'metrics':[{'pod':'p0','usage_m':[200,200]}],"
          "'expect':{'error':'missing request for'}}" },
        { "resource",
          "{'current':1,'target_pct':100,'pods':[{'name':'p0','request_m':null}],"
          "'metrics':[{'pod':'p0','usage_m':[200,200]}],"
          "'expect':{'error':'missing request for'}}" },
        { "pods_metric",
          "{'current':3,'target':15000,'levels':[20000,10000,30000],'ready':null,'age_s':null,"
          "'pod_count':3,'expect':{'replicas':4,'usage':20000}}" },
        { "pods_metric",
          "{'current':3,'target':15000,'levels':[50000,15000,30000],'ready':[false,true,false],"
          "'age_s':[0,180,0],'pod_count':3,'expect':{'replicas':7,'usage':31666}}" },
        { "pods_metric",
          "{'current':2,'target':17000,'levels':[10000,10000],'ready':null,'age_s':null,"
          "'pod_count':3,'expect':{'replicas':2,'usage':10000}}" },
        { "pods_metric", /* what does not fit into 64 bits is as much as fits */
          "{'current':1,'target':1,'levels':[1,9223372036854775807,9223372036854775807],"
          "'pod_count':1,'expect':{'replicas':2147483647,'usage':3074457345618258602}}" },
        { "object_metric",
          "{'current':3,'target':15000,'levels':[20000],'pod_count':3,'expect':{'replicas':4,"
          "'usage':20000}}" },
        { "object_metric",
          "{'current':3,'target':1,'levels':[9223372036854775807],'pod_count':3,"
          "'expect':{'replicas':2147483647,'usage':9223372036854775807}}" },
        { "external_metric",
          "{'current':3,'target':4400,'levels':[8600],'ready':[false,true,false],'pod_count':3,"
          "'expect':{'replicas':2,'usage':8600}}" },
        { "external_metric",
          "{'current':3,'target':9223372036854775807,'levels':[4611686018427387904,"
          "4611686018427387904],'pod_count':3,'expect':{'replicas':3,"
          "'usage':9223372036854775807}}" },
        { "per_pod_metric",
          "{'current':1,'target':9223372036854775807,'levels':[9223372036854775807],"
          "'pod_count':1,'expect':{'replicas':1,'usage':9223372036854775807}}" },
        { "per_pod_metric",
          "{'current':0,'target':5000,'levels':[20000],'expect':{'replicas':4,'usage':0}}" },
        { "per_pod_usage",
          "{'usage':20000,'current':0,'expect':{'usage':0}}" },
        { "group_pods",
          "{'init_period_s':120,'initial_readiness_delay_s':10,'resource':'cpu','pods':[],"
          "'metrics':[],'expect':{'ready_count':0,'unready':[],'missing':[],'ignored':[]}}" },
        { "group_pods",
          "{'resource':'memory','pods':[{'name':'a','age_s':null,'ready':null,"
          "'ready_transition_age_s':null,'phase':'Running','deleting':false}],"
          "'metrics':[{'pod':'a','age_s':0,'window_s':60}],'expect':{'ready_count':1,"
          "'unready':[],'missing':[],'ignored':[]}}" },
        { "group_pods",
          "{'resource':'cpu','pods':[{'name':'a','age_s':0,'ready':null},{'name':'b',"
          "'age_s':180,'ready':true,'ready_transition_age_s':180},{'name':'c','age_s':180,"
          "'ready':null},{'name':'d','phase':'Succeeded'},{'name':'e','deleting':true},"
          "{'name':'f','phase':'Pending'},{'name':'g','age_s':60,'ready':true,"
          "'ready_transition_age_s':30}],'metrics':[{'pod':'a','age_s':null,'window_s':null},"
          "{'pod':'b','age_s':null},{'pod':'e'},{'pod':'g','age_s':0,'window_s':30}],"
          "'expect':{'ready_count':2,'unready':['f','a'],'missing':['c'],'ignored':['e','d']}}" },
        { "clamp_default",
          "{'current':3,'desired':1000,'min':1,'max':2000,'expect':{'replicas':6,"
          "'reason':'ScaleUpLimit'}}" },
        { "up_limit",
          "{'current':1,'rules':@min,'up_events':[],'down_events':[],'expect':{'limit':2}}" },
        { "down_limit",
          "{'current':5,'rules':@min,'up_events':[],'down_events':[],'expect':{'limit':3}}" },
        { "behavior_rate",
          "{'current':100,'desired':500,'min':1,'max':1000,'scale_up':{'stabilization_s':0,"
          "'select':'Max','policies':[{'type':'Percent','value':200,'period_s':120}]},"
          "'scale_down':null,'up_events':[{'change':1,'age_s':100},{'change':5,'age_s':60},"
          "{'change':9,'age_s':20}],'down_events':[],'expect':{'replicas':255,"
          "'reason':'ScaleUpLimit'}}" },
        { "stabilize_down_only",
          "{'window_s':300,'history':[{'value':4,'age_s':120},{'value':5,'age_s':60}],"
          "'desired':3,'expect':{'replicas':5,'log_len':3}}" },
        { "stabilize",
          "{'current':100,'desired':3,'history':[{'value':10,'age_s':600},{'value':9,"
          "'age_s':540}],'up_window_s':0,'down_window_s':0,'expect':{'replicas':3,'log':[10,3]}}" },
        { "stabilize",
          "{'current':2,'desired':1,'history':[{'value':3,'age_s':180}],'up_window_s':300,"
          "'down_window_s':300,'expect':{'replicas':2,'log':null}}" },
        { "store_event",
          "{'change':5,'previous':[],'rules':null,'expect':{'change_in_60s':0,'log':[]}}" },
        { "store_event",
          "{'change':5,'previous':[{'change':7,'age_s':61}],'rules':null,"
          "'expect':{'change_in_60s':0,'log':[{'change':7,'outdated':false}]}}" },
        { "store_event",
          "{'change':5,'previous':[{'change':8,'age_s':29},{'change':6,'age_s':59},{'change':7,"
          "'age_s':61},{'change':9,'age_s':61}],'rules':@min,'expect':{'change_in_60s':14,"
          "'log':[{'change':8,'outdated':false},{'change':6,'outdated':false},{'change':7,"
          "'outdated':true},{'change':5,'outdated':false}]}}" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_string_equal(differences(row[i].kind, row[i].json), "");
}

static void passes_whole_steps(void **state)
{
    (void)state;
    static const char *const row[] = {
        "{'min':2,'max':6,'current':4,'metrics':[{@cpu:100,'levels_m':[4000,9500,3000,7000,3200,"
        "2000]}],'pods':[1000,1000,1000,1000],'history':'initial','scale_up':null,"
        "'expect':{'replicas':6,'limited_reason':'TooManyReplicas','scaled':true}}",
        "{'min':2,'max':6,'current':4,'metrics':[{@cpu:100,'levels_m':[400,95]}],'pods':[1000,"
        "1000,1000,1000],'history':[],'scale_up':null,'expect':{'replicas':3,"
        "'limited_reason':null,'scaled':true}}",
        "{'min':2,'max':6,'current':4,'metrics':[{@cpu:100,'levels_m':[]}],'pods':[1000,1000,1000,"
        "1000],'history':'initial','expect':{'replicas':4,'limited_reason':null,'scaled':false}}",
        "{'min':1,'max':5,'current':1,'metrics':[{@cpu:100,'levels_m':[200]}],'pods':[],"
        "'history':'initial','expect':{'replicas':1,'limited_reason':null,'scaled':false}}",
        "{'min':1,'max':5,'current':1,'metrics':[{@cpu:50,'levels_m':[200]}],'pods':[200],"
        "'history':'initial','expect':{'replicas':2,'limited_reason':null,'scaled':true}}",
        "{'min':1,'max':5,'current':2,'metrics':[{@cpu:50,'levels_m':[200,200]}],'pods':[400,400],"
        "'history':'initial','expect':{'replicas':2,'limited_reason':null,'scaled':false}}",
        "{'min':1,'max':5,'current':4,'metrics':[{@cpu:50,'levels_m':[200]}],'pods':[200],"
        "'history':[],'expect':{'replicas':2,'scaled':true}}",
        "{'min':1,'max':8,'current':4,'metrics':[{@cpu:50,'levels_m':[500,500,500,500,500]}],"
        "'pods':[1000,1000,1000,1000,1000],'history':'initial','expect':{'replicas':4,"
        "'scaled':false}}",
        "{'min':1,'max':100,'current':3,'metrics':[{@cpu:10,'levels_m':[100,200,300]}],"
        "'pods':[100,100,100],'history':'initial','scale_up':{'stabilization_s':0,'select':'Max',"
        "'policies':[{'type':'Percent','value':700,'period_s':60}]},'expect':{'replicas':24,"
        "'limited_reason':'ScaleUpLimit','scaled':true}}",
        "{'min':1,'max':20,'current':3,'metrics':[{@cpu:10,'levels_m':[100,200,300]}],'pods':[100,"
        "100,100],'history':'initial','scale_up':{'policies':[{'type':'Percent','value':700,"
        "'period_s':60}]},'expect':{'replicas':20,'limited_reason':'TooManyReplicas'}}",
        "{'min':2,'max':5,'current':3,'metrics':[{@cpu:90,'levels_m':[10,95,10]}],'pods':[900,"
        "1000,1100],'history':[],'expect':{'replicas':2,'limited_reason':'TooFewReplicas'}}",
        "{'min':0,'max':5,'current':3,'metrics':[{@cpu:90,'levels_m':[0,0,0]}],'pods':[900,1000,"
        "1100],'history':[],'expect':{'replicas':0,'limited_reason':null}}",
        "{'min':2,'max':5,'current':3,'metrics':[{@cpu:90,'levels_m':[8000,9500,1000]}],"
        "'pods':[900,1000,1100],'expect':{'replicas':5,'limited_reason':'TooManyReplicas'}}",
        "{'min':3,'max':5,'current':0,'metrics':[{@cpu:90,'levels_m':[]}],'pods':[],"
        "'expect':{'replicas':0,'scaled':false}}",
        "{'min':3,'max':5,'current':2,'metrics':[{@cpu:90,'levels_m':[]}],'pods':[],"
        "'expect':{'replicas':3,'scaled':true}}",
        "{'min':2,'max':6,'current':1,'metrics':[{@cpu:null,'levels_m':[0,0,0,0]}],'pods':[1000,"
        "1000,1000,1000],'expect':{'replicas':2,'scaled':true}}",
        "{'min':2,'max':6,'current':1,'metrics':[],'pods':[1000],'expect':{'replicas':2}}",
        "{'min':3,'max':5,'current':10,'metrics':[{@cpu:90,'levels_m':[]}],'pods':[],"
        "'expect':{'replicas':5}}",
        "{'min':2,'max':6,'current':3,'metrics':[{@cpu:30,'levels_m':[300,400,500]},"
        "{'type':'external','error':true}],'pods':[1000,1000,1000],'expect':{'replicas':4}}",
        "{'min':2,'max':6,'current':5,'metrics':[{@cpu:50,'levels_m':[100,300,500,250,250]},"
        "{'type':'external','error':true}],'pods':[1000,1000,1000,1000,1000],'history':[],"
        "'expect':{'replicas':5,'scaled':false}}",
        "{'min':1,'max':5,'current':4,'metrics':[{@cpu:100,'levels_m':[50,50,50]}],'pods':[100,"
        "100,100],'history':[{'value':10,'age_s':600},{'value':4,'age_s':60}],"
        "'expect':{'replicas':4,'scaled':false}}",
        /* other metrics, and pods that are not all the same */
        "{'min':2,'max':6,'current':5,'metrics':[{'type':'pods','target':20000,'levels':[12000,"
        "12000,12000,12000,12000]}],'pods':[1000,1000,1000,1000,1000],'history':[],"
        "'expect':{'replicas':3}}",
        "{'min':2,'max':6,'current':5,'metrics':[{'type':'object','target':20000,"
        "'levels':[12000]}],'pods':[1000,1000,1000,1000,1000],'history':[],"
        "'expect':{'replicas':3}}",
        "{'min':2,'max':6,'current':5,'metrics':[{'type':'object','target_average':20000,"
        "'levels':[60000]}],'pods':null,'history':[],'expect':{'replicas':3}}",
        "{'min':2,'max':6,'current':5,'metrics':[{'type':'external','target':14400,"
        "'levels':[8600]}],'history':[],'expect':{'replicas':3}}",
        "{'min':2,'max':6,'current':4,'metrics':[{'type':'external','per_pod':true,'target':2200,"
        "'levels':[8600]}],'expect':{'replicas':4,'scaled':false}}",
        "{'min':2,'max':6,'current':3,'metrics':[{'type':'resource','resource':'memory',"
        "'target_pct':30,'levels':[300,500,700]}],'pods':[1000,1000,1000],'ready':[false,true,"
        "true],'expect':{'replicas':5}}",
        "{'min':2,'max':6,'current':3,'metrics':[{'type':'container_resource',"
        "'container':'container2','target_pct':30,'levels':[[900,300],[900,500],[900,700]]}],"
        "'pods':[1000,1000,1000],'expect':{'replicas':5}}",
        "{'min':2,'max':6,'current':3,'metrics':[{@cpu:30,'levels_m':[300,500,700]}],'pods':[1000,"
        "1000,1000],'ready':[false,true,true],'expect':{'replicas':4}}",
        "{'min':2,'max':6,'current':3,'metrics':[{@cpu:30,'levels_m':[300,500,700]}],"
        "'pods':[{'request_m':1000,'age_s':0},{'request_m':1000},{'request_m':[500,500]}],"
        "'expect':{'replicas':4}}",
        "{'min':2,'max':6,'current':2,'metrics':[{@cpu:30,'levels_m':[500,700]}],'pods':[1000,"
        "1000,1000,1000],'phase':['Running','Running','Failed','Failed'],'ready':[true,true,false,"
        "false],'expect':{'replicas':4}}",
        "{'min':1,'max':5,'current':3,'metrics':[{@cpu:100,'levels_m':[1010,1030,1020]}],"
        "'pods':[900,1000,1100],'scale_up':{'tolerance':0.01},'expect':{'replicas':4}}",
        "{'min':1,'max':5,'current':3,'metrics':[{@cpu:100,'levels_m':[300,300,300]}],"
        "'pods':[1000,1000,1000],'history':[],'scale_down':{'tolerance':0.9},"
        "'expect':{'replicas':3}}",
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        print_message("%zu\n", i);
        assert_string_equal(differences("reconcile", row[i]), "");
    }
}

static void never_passes_what_it_cannot_tell(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *json, *words;
    } row[] = {
        { "resource",
          "{'current':3,'target_pct':30,@pods3,@metrics3,'expect':{'replicas':6,"
          "'utilization_pct':50,'raw_m':1000}}",
          "replicas: got 5, want 6\n" },
        { "resource",
          "{'current':3,'target_pct':30,@pods3,@metrics3,'expect':{'error':'x'}}",
          "error: got none, want \"x\"\n" },
        { "resource",
          "{'current':3,'target_pct':30,@pods3,'metrics':[],'expect':{'replicas':3}}",
          "error: got \"unable to get metrics" },
        { "resource",
          "{'current':3,'target_pct':30,'sidecar':1,@pods3,@metrics3,'expect':{'replicas':5}}",
          "field \"sidecar\" is not understood\n" },
        { "resource",
          "{'current':3,'target_pct':30,@pods3,@metrics3,'expect':{'replicas':5}}",
          "utilization_pct is missing" },
        { "resource",
          "{'current':3,'target_pct':30,@pods3,@metrics3}",
          "expect is missing" },
        { "resource",
          "{'target_pct':30,@pods3,@metrics3,'expect':{'error':'x'}}",
          "current is missing" },
        { "resource",
          "{'current':3,'target_pct':30,'container':'web',@pods3,@metrics3,'expect':{'error':''}}",
          "container \"web\" is not understood" },
        { "pods_metric",
          "{'current':3,'target':0,'levels':[1],'expect':{'replicas':3}}",
          "want a positive" },
        { "pods_metric",
          "{'current':3,'target':1,'levels':['x'],'expect':{'replicas':3}}",
          "no whole number" },
        { "object_metric",
          "{'current':3,'target':1,'expect':{'replicas':3}}",
          "levels are missing" },
        { "per_pod_metric",
          "{'current':99999999999,'target':1,'levels':[1],'expect':{'replicas':3}}",
          "want 32 bits" },
        { "group_pods",
          "{'pods':[{'name':'a','phase':'Lost'}],'metrics':[],'expect':{'ready_count':0}}",
          "phase \"Lost\" is not understood" },
        { "group_pods",
          "{'pods':[{'name':'a'}],'metrics':[],'expect':{'ready_count':0,'unready':[],"
          "'missing':['b'],'ignored':[]}}",
          "missing: got a, want it elsewhere\n" },
        { "group_pods",
          "{'pods':[{'name':'a'}],'metrics':[],'expect':{'ready_count':0,'unready':[],"
          "'missing':['a','b'],'ignored':[]}}",
          "missing: got 1, want 2\n" },
        { "up_limit",
          "{'current':1,'rules':{'select':'Most'},'expect':{'limit':2}}",
          "select \"Most\"" },
        { "up_limit",
          "{'current':1,'rules':{'policies':[{'type':'Nodes','value':1,'period_s':1}]},"
          "'expect':{'limit':2}}",
          "policy type \"Nodes\"" },
        { "clamp_default",
          "{'current':3,'desired':3,'min':1,'max':5,'expect':{'replicas':3,'reason':'x'}}",
          "reason: got DesiredWithinRange, want x" },
        { "stabilize",
          "{'current':1,'desired':1,'history':[],'up_window_s':0,'down_window_s':0,"
          "'expect':{'replicas':1,'log':[1,2]}}",
          "log: got 1 entries, want 2" },
        { "store_event",
          "{'change':5,'previous':[],'rules':null,'expect':{'change_in_60s':0}}",
          "log is missing" },
        { "reconcile",
          "{'min':2,'max':6,'current':4,'metrics':[{'type':'CheddarCheese'}],'pods':[1000],"
          "'expect':{'replicas':4}}",
          "type \"CheddarCheese\" is not understood" },
        { "reconcile",
          "{'min':2,'max':6,'current':4,'metrics':[{@cpu:'many','levels_m':[1]}],'pods':[1000],"
          "'expect':{'replicas':4}}",
          "target is not understood" },
        { "reconcile",
          "{'min':2,'max':6,'current':4,'metrics':[],'weather':1,'expect':{'replicas':4}}",
          "weather" },
        { "reconcile",
          "{'min':2,'max':6,'current':4,'metrics':[{'type':'cpu','color':1}],"
          "'expect':{'replicas':4}}",
          "color" },
        { "reconcile",
          "{'min':2,'max':6,'current':4,'expect':{'replicas':4}}",
          "metrics is missing" },
        { "reconcile",
          "{'min':2,'max':6,'current':4,'metrics':[],'history':'long','expect':{'replicas':4}}",
          "history is not understood" },
        { "reconcile",
          "{'min':2,'max':6,'current':4,'metrics':[],'expect':{'replicas':4,'scaled':true}}",
          "scaled: got false" },
        { "reconcile",
          "{'min':2,'max':6,'current':4,'metrics':[{@cpu:100,'levels_m':[4000,4000,4000,4000]}],"
          "'pods':[1000,1000,1000,1000],'expect':{'replicas':6,'limited_reason':null}}",
          "limited_reason: got TooManyReplicas, want none" },
        { "reconcile",
          "{'min':2,'max':6,'current':4,'metrics':[{'type':'external','error':[]}],"
          "'expect':{'replicas':4}}",
          "error: neither true nor false" },
        { "reconcile",
          "{'min':2,'max':6,'current':4,'metrics':[{@cpu:100,'levels_m':[1]}],'pods':[1000],"
          "'ready':['yes'],'expect':{'replicas':4}}",
          "ready: neither true nor false" },
        { "external_metric",
          "{'current':3,'target':4400,'levels':[8600],'ready':['x',true,false],"
          "'expect':{'replicas':2,'usage':8600}}",
          "ready: neither true nor false" },
        { "pods_metric",
          "{'current':1,'target':1,'levels':[1],'age_s':['old'],"
          "'expect':{'replicas':1,'usage':1}}",
          "age_s: no number" },
        { "store_event",
          "{'change':5,'previous':[],'rules':{'select':'Max','policies':[]},"
          "'expect':{'change_in_60s':0,'log':[{'change':5,'outdated':'no'}]}}",
          "outdated: neither true nor false" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const char *got = differences(row[i].kind, row[i].json);
        if (strstr(got, row[i].words) == NULL)
            fail_msg("%s: got \"%s\", want \"%s\"", row[i].json, got, row[i].words);
    }
}
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_what_is_right),
        cmocka_unit_test(passes_whole_steps),
        cmocka_unit_test(never_passes_what_it_cannot_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
