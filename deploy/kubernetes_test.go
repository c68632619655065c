package deploy

import (
	"bytes"
	"maps"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
	psa "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

var overlays = []string{"small", "city"}

// cluster is what kustomize makes of an overlay.
type cluster struct {
	overlay   string
	objects   []runtime.Object
	workloads []workload
	policies  []*networkingv1.NetworkPolicy
	config    map[string]map[string]string // by ConfigMap
}

// workload is a Deployment, a StatefulSet or a CronJob.
type workload struct {
	kind, name string
	replicas   *int32
	selector   *metav1.LabelSelector
	labels     map[string]string // of its pods
	pod        corev1.PodSpec
}

// containers are all of its pods'.
func (w workload) containers() []corev1.Container {
	return slices.Concat(w.pod.InitContainers, w.pod.Containers)
}

// secrets are the names of all that its pods are given, in whatever way.
func (w workload) secrets() map[string]bool {
	given := map[string]bool{}
	for _, k := range w.containers() {
		for _, e := range k.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				given[e.ValueFrom.SecretKeyRef.Name] = true
			}
		}
		for _, e := range k.EnvFrom {
			if e.SecretRef != nil {
				given[e.SecretRef.Name] = true
			}
		}
	}
	for _, v := range w.pod.Volumes {
		if v.Secret != nil {
			given[v.Secret.SecretName] = true
		}
		if v.Projected != nil {
			for _, s := range v.Projected.Sources {
				if s.Secret != nil {
					given[s.Secret.Name] = true
				}
			}
		}
	}
	return given
}

func (w workload) String() string { return w.kind + " " + w.name }

// yimu says which service a workload is, if it is one of ours.
func (w workload) yimu() string {
	if w.labels["app.kubernetes.io/name"] != "yimu" {
		return ""
	}
	return w.labels["app.kubernetes.io/component"]
}

// strict refuses fields that the API does not know, and fields given twice.
var strict = serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()

var built = map[string]cluster{}

func build(t *testing.T, overlay string) cluster {
	t.Helper()
	if c, ok := built[overlay]; ok {
		return c
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join("../k8s/overlays", overlay))
	if err != nil {
		t.Fatal(err)
	}
	c := cluster{overlay: overlay, config: map[string]map[string]string{}}
	for _, r := range resources.Resources() {
		y, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := strict.Decode(y, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", overlay, err, y)
		}
		c.objects = append(c.objects, object)
		switch o := object.(type) {
		case *appsv1.Deployment:
			c.workloads = append(c.workloads, workload{"Deployment", o.Name, o.Spec.Replicas, o.Spec.Selector, o.Spec.Template.Labels, o.Spec.Template.Spec})
		case *appsv1.StatefulSet:
			c.workloads = append(c.workloads, workload{"StatefulSet", o.Name, o.Spec.Replicas, o.Spec.Selector, o.Spec.Template.Labels, o.Spec.Template.Spec})
		case *batchv1.CronJob:
			pod := o.Spec.JobTemplate.Spec.Template
			c.workloads = append(c.workloads, workload{"CronJob", o.Name, nil, &metav1.LabelSelector{MatchLabels: pod.Labels}, pod.Labels, pod.Spec})
		case *networkingv1.NetworkPolicy:
			c.policies = append(c.policies, o)
		case *corev1.ConfigMap:
			c.config[o.Name] = o.Data
		}
	}
	built[overlay] = c
	return c
}

func selects(t *testing.T, selector *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return s.Matches(labels.Set(of))
}

func TestDecodingIsStrict(t *testing.T) {
	for _, wrong := range []string{
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 1}], selektor: {a: b}}\n",
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: ClusterIP, type: NodePort}\n",
		"apiVersion: apps/v1\nkind: Deploymint\nmetadata: {name: a}\n",
	} {
		if _, _, err := strict.Decode([]byte(wrong), nil, nil); err == nil {
			t.Errorf("decoded:\n%s", wrong)
		}
	}
}

func TestEveryServiceRunsInBothOverlaysWithSettingsThatTheBinaryAccepts(t *testing.T) {
	for _, overlay := range overlays {
		c := build(t, overlay)
		secrets := documented(t, overlay)
		var found, values []string
		for _, keys := range secrets {
			for _, v := range keys {
				if strings.HasPrefix(v, "secret-") {
					values = append(values, v)
				}
			}
		}
		for _, w := range c.workloads {
			if w.yimu() == "" {
				continue
			}
			found = append(found, w.yimu())
			k := w.pod.Containers[0]
			if want := []string{"serve", w.yimu()}; !slices.Equal(k.Args, want) || w.name != w.yimu() {
				t.Errorf("%s %s runs %q", overlay, w, k.Args)
			}
			run := container{name: overlay + " " + w.String(), args: k.Args, env: c.environment(t, secrets, k)}
			for _, m := range k.VolumeMounts {
				run.mounts = append(run.mounts, m.MountPath)
			}
			run.accepted(t, values)
		}
		want := slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return k == "store" && overlay != "small" })
		if slices.Sort(found); !slices.Equal(found, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s runs %v, want %v", overlay, found, want)
		}
	}
}

// environment is what a container is given, with the README's examples for secrets.
func (c cluster) environment(t *testing.T, secrets map[string]map[string]string, k corev1.Container) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, from := range k.EnvFrom {
		if from.ConfigMapRef == nil {
			t.Errorf("%s: %s takes all of something that is no ConfigMap", c.overlay, k.Name)
			continue
		}
		data, found := c.config[from.ConfigMapRef.Name]
		if !found {
			t.Errorf("%s: there is no ConfigMap %s", c.overlay, from.ConfigMapRef.Name)
		}
		maps.Copy(env, data)
	}
	for _, e := range k.Env {
		env[e.Name] = e.Value
		if e.ValueFrom != nil {
			ref := e.ValueFrom.SecretKeyRef
			if ref == nil {
				t.Errorf("%s: %s has a value of nowhere", c.overlay, e.Name)
				continue
			}
			if env[e.Name] = secrets[ref.Name][ref.Key]; env[e.Name] == "" {
				t.Errorf("%s: k8s/README.md has no example of Secret %s, key %s", c.overlay, ref.Name, ref.Key)
			}
		}
	}
	return env
}

// documented is the table of secrets in k8s/README.md: example by name and key.
func documented(t *testing.T, overlay string) map[string]map[string]string {
	t.Helper()
	table := map[string]map[string]string{}
	for _, line := range strings.Split(string(read(t, "../k8s/README.md")), "\n") {
		cells := strings.Split(line, "|")
		if !strings.HasPrefix(line, "| `yimu-") || len(cells) != 7 {
			continue
		}
		for i := range cells {
			cells[i] = strings.Trim(cells[i], " `")
		}
		if cells[3] != "both" && cells[3] != overlay {
			continue
		}
		if table[cells[1]] == nil {
			table[cells[1]] = map[string]string{}
		}
		table[cells[1]][cells[2]] = cells[5]
	}
	return table
}

func TestSecretsAreNamedAndDocumentedAndNoneIsHere(t *testing.T) {
	for _, overlay := range overlays {
		c := build(t, overlay)
		used := map[string]map[string]bool{} // users by secret and key
		use := func(by, name, key string) {
			if used[name+" "+key] == nil {
				used[name+" "+key] = map[string]bool{}
			}
			used[name+" "+key][by] = true
		}
		table := documented(t, overlay)
		all := func(by, name string) {
			for key := range table[name] {
				use(by, name, key)
			}
			if len(table[name]) == 0 {
				t.Errorf("%s: %s uses Secret %s, which k8s/README.md does not name", overlay, by, name)
			}
		}
		for _, object := range c.objects {
			switch o := object.(type) {
			case *corev1.Secret:
				t.Errorf("%s: Secret %s is in the repository", overlay, o.Name)
			case *networkingv1.Ingress:
				for _, tls := range o.Spec.TLS {
					all("ingress", tls.SecretName)
				}
			}
		}
		for _, w := range c.workloads {
			for _, k := range w.containers() {
				for _, e := range k.Env {
					if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
						use(w.name, e.ValueFrom.SecretKeyRef.Name, e.ValueFrom.SecretKeyRef.Key)
					}
				}
			}
			for _, v := range w.pod.Volumes {
				if v.Secret != nil {
					all(w.name, v.Secret.SecretName)
				}
			}
		}
		for name, keys := range table {
			for key := range keys {
				if len(used[name+" "+key]) == 0 {
					t.Errorf("%s: k8s/README.md names Secret %s, key %s, which nobody uses", overlay, name, key)
				}
				delete(used, name+" "+key)
			}
		}
		for secret := range used {
			t.Errorf("%s: k8s/README.md does not name Secret %s", overlay, secret)
		}
	}
}

func TestOnlyTheLedgerHasCredentialsThatAppend(t *testing.T) {
	for _, overlay := range overlays {
		ledger := false
		for _, w := range build(t, overlay).workloads {
			given := w.secrets()
			if has := given["yimu-eventstore-append"]; has != (w.yimu() == "ledger") {
				t.Errorf("%s: %s has the credentials that append: %t", overlay, w, has)
			} else if has {
				ledger = true
			}
			// What the store compares them with.
			if has := given["yimu-store-append"]; has != (w.yimu() == "store") {
				t.Errorf("%s: %s knows the password that appends: %t", overlay, w, has)
			}
			for secret, needs := range map[string]bool{
				"yimu-vault":           withAPI(w.yimu()) || w.yimu() == "portal" || w.name == "backup",
				"yimu-vault-key":       withAPI(w.yimu()) || w.yimu() == "portal",
				"yimu-log-key":         w.yimu() == "ledger",
				"yimu-database":        withAPI(w.yimu()),
				"yimu-eventstore-read": withAPI(w.yimu()) && w.yimu() != "ledger",
			} {
				if has := given[secret]; has != needs {
					t.Errorf("%s: %s has %s: %t", overlay, w, secret, has)
				}
			}
		}
		if !ledger {
			t.Errorf("%s: the ledger cannot append", overlay)
		}
	}
}

// The namespace says which pods it admits; this is who judges it.
func TestTheNamespaceAdmitsEveryPod(t *testing.T) {
	judge, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, overlay := range overlays {
		c := build(t, overlay)
		level := psa.LevelVersion{Version: psa.LatestVersion()}
		for _, object := range c.objects {
			if n, ok := object.(*corev1.Namespace); ok {
				level.Level = psa.Level(n.Labels[psa.EnforceLevelLabel])
			}
		}
		if level.Level != psa.LevelRestricted {
			t.Errorf("%s: the namespace admits what is %q", overlay, level.Level)
		}
		for _, w := range c.workloads {
			if result := policy.AggregateCheckResults(judge.EvaluatePod(level, &metav1.ObjectMeta{Labels: w.labels}, &w.pod)); !result.Allowed {
				t.Errorf("%s: %s is not admitted: %s", overlay, w, result.ForbiddenDetail())
			}
		}
	}
}

func TestEveryPodIsProbedAndBoundedAndNotRoot(t *testing.T) {
	for _, overlay := range overlays {
		for _, w := range build(t, overlay).workloads {
			fail := func(format string, args ...any) {
				t.Helper()
				t.Errorf("%s %s: "+format, append([]any{overlay, w}, args...)...)
			}
			pod := w.pod.SecurityContext
			if pod == nil || pod.RunAsNonRoot == nil || !*pod.RunAsNonRoot || pod.RunAsUser == nil || *pod.RunAsUser == 0 ||
				pod.SeccompProfile == nil || pod.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				fail("may run as root, or without seccomp")
			}
			if w.pod.AutomountServiceAccountToken == nil || *w.pod.AutomountServiceAccountToken || w.pod.HostNetwork || w.pod.HostPID || w.pod.ServiceAccountName != "yimu" {
				fail("has a token of Kubernetes, or the host's network")
			}
			if w.pod.EnableServiceLinks == nil || *w.pod.EnableServiceLinks {
				fail("is given variables for every Service")
			}
			for _, k := range w.containers() {
				if s := k.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.Privileged != nil ||
					s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || s.Capabilities.Add != nil {
					fail("%s may do more than it needs", k.Name)
				}
				if k.Resources.Requests.Cpu().IsZero() || k.Resources.Requests.Memory().IsZero() || k.Resources.Limits.Memory().Cmp(*k.Resources.Requests.Memory()) < 0 {
					fail("%s is not bounded", k.Name)
				}
				if err := pinned(k.Image); err != nil {
					fail("%v", err)
				}
			}
			if w.kind != "CronJob" {
				probed(w, fail)
			}
			volumes := map[string]bool{}
			for _, v := range w.pod.Volumes {
				volumes[v.Name] = true
				if v.HostPath != nil {
					fail("mounts %s of its node", v.HostPath.Path)
				}
			}
			for _, k := range w.containers() {
				for _, m := range k.VolumeMounts {
					if !volumes[m.Name] && w.kind != "StatefulSet" { // that has claims beside
						fail("mounts %s, which it does not have", m.Name)
					}
				}
			}
		}
	}
}

// probed says what is wrong with the probes of a workload.
func probed(w workload, fail func(string, ...any)) {
	if len(w.containers()) != 1 {
		fail("%d containers", len(w.containers()))
		return
	}
	k := w.pod.Containers[0]
	if k.StartupProbe == nil || k.LivenessProbe == nil || k.ReadinessProbe == nil {
		fail("is not probed")
		return
	}
	for _, probe := range []*corev1.Probe{k.StartupProbe, k.LivenessProbe, k.ReadinessProbe} {
		for _, port := range []*intstr.IntOrString{httpPort(probe), tcpPort(probe)} {
			if port == nil {
				continue
			}
			if _, found := containerPort(w, *port); !found {
				fail("is probed at a port that it does not have")
			}
		}
	}
	if w.yimu() == "" {
		return
	}
	if k.LivenessProbe.HTTPGet.Path != "/livez" || k.ReadinessProbe.HTTPGet.Path != "/readyz" {
		fail("is probed at %s and %s", k.LivenessProbe.HTTPGet.Path, k.ReadinessProbe.HTTPGet.Path)
	}
	// Who reads the ledger for an hour must not be killed for it.
	if w.yimu() != "store" && k.StartupProbe.HTTPGet.Path != "/livez" {
		fail("is killed while it catches up")
	}
}

func httpPort(p *corev1.Probe) *intstr.IntOrString {
	if p.HTTPGet == nil {
		return nil
	}
	return &p.HTTPGet.Port
}

func tcpPort(p *corev1.Probe) *intstr.IntOrString {
	if p.TCPSocket == nil {
		return nil
	}
	return &p.TCPSocket.Port
}

func TestServicesPoliciesBudgetsAndScalersHaveWhatTheyName(t *testing.T) {
	for _, overlay := range overlays {
		c := build(t, overlay)
		matching := func(selector *metav1.LabelSelector) (found []workload) {
			for _, w := range c.workloads {
				if selects(t, selector, w.labels) {
					found = append(found, w)
				}
			}
			return found
		}
		for _, w := range c.workloads {
			if got := matching(w.selector); len(got) != 1 || got[0].name != w.name {
				t.Errorf("%s: %s selects %v", overlay, w, got)
			}
		}
		for _, object := range c.objects {
			switch o := object.(type) {
			case *corev1.Service:
				if o.Spec.Selector == nil {
					t.Errorf("%s: Service %s leads nowhere", overlay, o.Name)
					continue
				}
				pods := matching(&metav1.LabelSelector{MatchLabels: o.Spec.Selector})
				if len(pods) != 1 || pods[0].name != o.Name {
					t.Errorf("%s: Service %s leads to %v", overlay, o.Name, pods)
					continue
				}
				for _, port := range o.Spec.Ports {
					if _, found := containerPort(pods[0], port.TargetPort); !found {
						t.Errorf("%s: Service %s leads to port %s, which %s does not have", overlay, o.Name, port.TargetPort.String(), pods[0])
					}
				}
			case *policyv1.PodDisruptionBudget:
				if pods := matching(o.Spec.Selector); len(pods) != 1 || pods[0].name != o.Name || o.Spec.MaxUnavailable == nil || o.Spec.MaxUnavailable.IntValue() != 1 {
					t.Errorf("%s: PodDisruptionBudget %s is for %v", overlay, o.Name, pods)
				}
			case *autoscalingv2.HorizontalPodAutoscaler:
				i := slices.IndexFunc(c.workloads, func(w workload) bool {
					return w.kind == o.Spec.ScaleTargetRef.Kind && w.name == o.Spec.ScaleTargetRef.Name
				})
				if i < 0 || c.workloads[i].replicas != nil || o.Spec.MinReplicas == nil || *o.Spec.MinReplicas < 2 || *o.Spec.MinReplicas > o.Spec.MaxReplicas {
					t.Errorf("%s: HorizontalPodAutoscaler %s scales nothing, or something whose number is set elsewhere too", overlay, o.Name)
				} else if kind := c.workloads[i].yimu(); kind == "ledger" || kind == "store" || kind == "" {
					t.Errorf("%s: %s must not be scaled by its load", overlay, kind)
				}
			case *networkingv1.NetworkPolicy:
				if len(matching(&o.Spec.PodSelector)) == 0 {
					t.Errorf("%s: NetworkPolicy %s is for nobody", overlay, o.Name)
				}
				for _, peer := range peers(o) {
					if peer.PodSelector != nil && peer.NamespaceSelector == nil && len(matching(peer.PodSelector)) == 0 {
						t.Errorf("%s: NetworkPolicy %s names somebody who is not there: %v", overlay, o.Name, peer.PodSelector)
					}
				}
			case *networkingv1.Ingress:
				for _, rule := range o.Spec.Rules {
					for _, p := range rule.HTTP.Paths {
						if p.Path != "/" || p.Backend.Service.Name != "portal" {
							t.Errorf("%s: %s%s leads to %s", overlay, rule.Host, p.Path, p.Backend.Service.Name)
						}
					}
					if !slices.ContainsFunc(o.Spec.TLS, func(tls networkingv1.IngressTLS) bool {
						return slices.Contains(tls.Hosts, rule.Host) && tls.SecretName != ""
					}) {
						t.Errorf("%s: %s is served without TLS", overlay, rule.Host)
					}
				}
			}
		}
		for _, w := range c.workloads {
			if kind := w.yimu(); kind == "store" && (w.kind != "StatefulSet" || *w.replicas != 1) {
				t.Errorf("%s: the store must be one", overlay)
			}
		}
	}
}

// containerPort finds a port of a workload by name or number.
func containerPort(w workload, port intstr.IntOrString) (int32, bool) {
	for _, k := range w.pod.Containers {
		for _, p := range k.Ports {
			if port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal {
				return p.ContainerPort, true
			}
		}
	}
	return 0, false
}

func peers(o *networkingv1.NetworkPolicy) (all []networkingv1.NetworkPolicyPeer) {
	for _, in := range o.Spec.Ingress {
		all = append(all, in.From...)
	}
	for _, out := range o.Spec.Egress {
		all = append(all, out.To...)
	}
	return all
}

// end is one end of a connection: a pod, or an address outside the cluster.
type end struct {
	namespace string
	labels    map[string]string
	address   string
	workload  *workload
}

func (c cluster) end(name string) end {
	if i := slices.IndexFunc(c.workloads, func(w workload) bool { return w.name == name }); i >= 0 {
		return end{namespace: "yimu", labels: c.workloads[i].labels, workload: &c.workloads[i]}
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return end{address: name}
	}
	namespace, _, _ := strings.Cut(name, "/")
	return end{namespace: namespace, labels: map[string]string{"app": "any"}}
}

// reaches says whether the policies let a connection be made: by those of
// whoever makes it, and by those of whoever takes it.
func (c cluster) reaches(t *testing.T, from, to end, port int32) bool {
	t.Helper()
	out := c.admits(t, from, to, to, port, networkingv1.PolicyTypeEgress)
	in := c.admits(t, to, from, to, port, networkingv1.PolicyTypeIngress)
	return out && in
}

// admits says whether one end's policies let it talk with the other.
func (c cluster) admits(t *testing.T, own, other, to end, port int32, direction networkingv1.PolicyType) bool {
	t.Helper()
	if own.namespace != "yimu" {
		return true // not ours to say
	}
	isolated := false
	for _, p := range c.policies {
		if !slices.Contains(p.Spec.PolicyTypes, direction) || !selects(t, &p.Spec.PodSelector, own.labels) {
			continue
		}
		isolated = true
		if direction == networkingv1.PolicyTypeIngress {
			for _, rule := range p.Spec.Ingress {
				if matches(t, rule.From, other) && opens(rule.Ports, to, port) {
					return true
				}
			}
			continue
		}
		for _, rule := range p.Spec.Egress {
			if matches(t, rule.To, other) && opens(rule.Ports, to, port) {
				return true
			}
		}
	}
	return !isolated
}

func matches(t *testing.T, list []networkingv1.NetworkPolicyPeer, e end) bool {
	t.Helper()
	return len(list) == 0 || slices.ContainsFunc(list, func(p networkingv1.NetworkPolicyPeer) bool {
		if p.IPBlock != nil {
			in := func(cidr string) bool {
				return e.address != "" && netip.MustParsePrefix(cidr).Contains(netip.MustParseAddr(e.address))
			}
			return in(p.IPBlock.CIDR) && !slices.ContainsFunc(p.IPBlock.Except, in)
		}
		if e.address != "" {
			return false
		}
		if p.NamespaceSelector == nil && e.namespace != "yimu" ||
			p.NamespaceSelector != nil && !selects(t, p.NamespaceSelector, map[string]string{"kubernetes.io/metadata.name": e.namespace}) {
			return false
		}
		return p.PodSelector == nil || selects(t, p.PodSelector, e.labels)
	})
}

func opens(list []networkingv1.NetworkPolicyPort, to end, port int32) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(p networkingv1.NetworkPolicyPort) bool {
		if p.Protocol != nil && *p.Protocol != corev1.ProtocolTCP {
			return false
		}
		if p.Port.Type == intstr.Int {
			return p.Port.IntVal == port
		}
		if to.workload == nil {
			return false
		}
		number, found := containerPort(*to.workload, *p.Port)
		return found && number == port
	})
}

func TestTheNightlyBackupIsOneThatYimuMakes(t *testing.T) {
	c := build(t, "small")
	for _, w := range c.workloads {
		if w.name != "backup" {
			continue
		}
		ledger, store := w.pod.InitContainers[0], c.workloads[slices.IndexFunc(c.workloads, func(w workload) bool { return w.name == "store" })].pod.Containers[0]
		i := slices.IndexFunc(store.Env, func(e corev1.EnvVar) bool { return e.Name == "YIMU_DATA" })
		if last := ledger.Args[len(ledger.Args)-1]; last != store.Env[i].Value || ledger.Image != store.Image {
			t.Errorf("%s backs up %s, and %s keeps the ledger in %s", ledger.Image, last, store.Image, store.Env[i].Value)
		}
		for _, m := range []corev1.VolumeMount{ledger.VolumeMounts[1], store.VolumeMounts[0]} {
			if m.Name != "ledger" || m.MountPath != "/var/lib/yimu/ledger" {
				t.Errorf("the ledger's volume is %s at %s", m.Name, m.MountPath)
			}
		}
		// Nothing is there; but it is understood.
		out, err := exec.Command(binary, ledger.Args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "there is no ledger in "+store.Env[i].Value) {
			t.Errorf("yimu %s: %v\n%s", strings.Join(ledger.Args, " "), err, out)
		}
		return
	}
	t.Error("there is no backup")
}

func TestWhoReachesWhom(t *testing.T) {
	const ( // ports
		http, metrics, eventstore, kafka, postgres, dns = 8080, 9464, 2113, 9092, 5432, 53
	)
	type way struct {
		from, to string
		port     int32
	}
	may := map[string][]way{
		"small": {
			{"ingress-nginx/controller", "portal", http},
			{"portal", "postgres", postgres},
			{"monitoring/prometheus", "portal", metrics}, {"monitoring/prometheus", "store", metrics},
			{"ledger", "kube-system/dns", dns},
		},
		"city": {
			{"ingress-nginx/controller", "portal", http},
			{"portal", "10.1.2.3", postgres},
			{"monitoring/prometheus", "portal", metrics},
			{"ledger", "kube-system/dns", dns},
		},
	}
	for _, kind := range kinds {
		if withAPI(kind) {
			for _, overlay := range overlays {
				may[overlay] = append(may[overlay], way{"portal", kind, http}, way{"monitoring/prometheus", kind, metrics}, way{kind, "monitoring/collector", 4317})
			}
			may["small"] = append(may["small"], way{kind, "store", eventstore}, way{kind, "kafka", kafka}, way{kind, "postgres", postgres})
			may["city"] = append(may["city"], way{kind, "10.1.2.3", eventstore}, way{kind, "10.1.2.3", 9093}, way{kind, "10.1.2.3", postgres}, way{kind, "198.51.100.1", 443})
		}
	}
	for _, overlay := range overlays {
		c := build(t, overlay)
		may := append(may[overlay], way{"portal", "monitoring/collector", 4317})
		if overlay == "small" {
			may = append(may, way{"store", "monitoring/collector", 4317}, way{"backup", "postgres", postgres})
		}
		ends := []string{"ingress-nginx/controller", "monitoring/prometheus", "monitoring/collector", "kube-system/dns", "default/stranger", "yimu/stranger",
			"10.1.2.3", "198.51.100.1", "169.254.169.254"}
		for _, w := range c.workloads {
			ends = append(ends, w.name)
		}
		for _, from := range ends {
			for _, to := range ends {
				for _, port := range []int32{http, metrics, eventstore, kafka, 9093, postgres, dns, 4317, 443, 80, 22} {
					a, b := c.end(from), c.end(to)
					if a.namespace != "yimu" && b.namespace != "yimu" || from == to {
						continue // not ours
					}
					// A namespace is admitted whole.
					want := slices.ContainsFunc(may, func(w way) bool {
						same := func(e end, name string) bool {
							other := c.end(name)
							return e.namespace == other.namespace && e.address == other.address && (e.namespace != "yimu" || e.workload == other.workload && e.workload != nil)
						}
						return same(a, w.from) && same(b, w.to) && port == w.port
					})
					if b.namespace == "kube-system" && port == dns && a.namespace == "yimu" {
						want = true // names are asked by all
					}
					if got := c.reaches(t, a, b, port); got != want {
						t.Errorf("%s: %s reaches %s at %d: %t", overlay, from, to, port, got)
					}
				}
			}
		}
	}
}

func TestNothingOfKubernetesIsLeftOutOfTheOverlays(t *testing.T) {
	files, err := filepath.Glob("../k8s/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../k8s/overlays/*/*")
	if err != nil || len(more) == 0 {
		t.Fatal(err, more)
	}
	for _, f := range append(files, more...) {
		if filepath.Base(f) == "kustomization.yaml" {
			continue
		}
		if !bytes.Contains(read(t, filepath.Join(filepath.Dir(f), "kustomization.yaml")), []byte(filepath.Base(f))) {
			t.Errorf("%s is used by nobody", f)
		}
	}
}
