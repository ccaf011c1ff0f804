// Draws each chart when it comes near the viewport. Until then, and on any error, its image is shown instead.
(async () => {
  const packed = document.getElementById("plotly-packed");
  const bytes = Uint8Array.from(atob(packed.textContent.trim()), (char) => char.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(unpacked).text();
  document.head.append(script); // allowed by its digest in the content security policy
  const draw = async (chart) => {
    const plot = chart.querySelector(".plot");
    const { data, layout, config } = JSON.parse(chart.querySelector("script").textContent);
    plot.hidden = false;
    try {
      // Overrides the figure: no button that sends it to Plotly's server.
      const silent = { displaylogo: false, showSendToCloud: false, showLink: false, plotlyServerURL: "" };
      await Plotly.newPlot(plot, data, layout, { ...config, ...silent });
      const still = chart.querySelector("img, .fallback");
      if (still) still.style.display = "none";
    } catch (error) {
      plot.hidden = true;
    }
  };
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      near.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "800px" });
  document.querySelectorAll("figure.chart").forEach((chart) => near.observe(chart));
})();
