const site = await (await fetch("site.json")).json();
document.getElementById("status").textContent = site.models.map(model => model.title).join(" · ");
