// Package deploy holds no code but tests: they hold what this folder and k8s/ say
// against the binary, the libraries of Compose, kustomize and Kubernetes, and the
// metrics there are. It is a module of its own, so that none of those libraries is
// in the services' go.mod.
package deploy
