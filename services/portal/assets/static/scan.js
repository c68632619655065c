// Works out the SHA-256 of a file that is chosen and puts it into the field that
// asks for it. The file is not sent. Without this script the hash is pasted in.
(() => {
  if (!window.crypto?.subtle) return; // only on a secure page
  for (const input of document.querySelectorAll("input[data-hash]")) {
    const field = document.getElementById("hash-" + input.dataset.hash);
    if (!field) continue;
    input.closest("label").hidden = false;
    input.addEventListener("change", async () => {
      field.value = "";
      if (!input.files.length) return;
      const hash = await crypto.subtle.digest("SHA-256", await input.files[0].arrayBuffer());
      field.value = Array.from(new Uint8Array(hash), (b) => b.toString(16).padStart(2, "0")).join("");
    });
  }
})();
